/* The chat page: three files built into the program, at "/", "/page.css" and
 * "/page.js". It speaks the events that chat.h lists. */
#ifndef CONFAB_SERVER_APP_PAGE_H
#define CONFAB_SERVER_APP_PAGE_H

struct sio_server;

/* Before the server serves. */
void page_install(struct sio_server *srv);

#endif
