#include "server/app/page.h"

#include "common/embed.h"
#include "server/sio.h"

EMBED(page_html, "server/app/page/index.html");
EMBED(page_css, "server/app/page/page.css");
EMBED(page_js, "server/app/page/page.js");

void page_install(struct sio_server *srv)
{
    const struct {
        const char *path, *type, *start, *end;
    } files[] = {
        {"/", "text/html; charset=utf-8", page_html_start, page_html_end},
        {"/page.css", "text/css; charset=utf-8", page_css_start, page_css_end},
        {"/page.js", "text/javascript; charset=utf-8", page_js_start,
         page_js_end},
    };
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        sio_server_serve(srv, files[i].path, files[i].type, files[i].start,
                         (size_t)(files[i].end - files[i].start));
}
