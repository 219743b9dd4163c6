#include "common/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mem.h"
#include "common/utf8.h"

static char *refuse(char err[CONFIG_ERR_MAX], const char *key, const char *path,
                    const char *why)
{
    (void)snprintf(err, CONFIG_ERR_MAX, "%s: %.300s: %s", key, path, why);
    return NULL;
}

/* What is wrong with it; NULL when nothing is. */
static const char *fault(struct str text)
{
    if (text.len > SECRET_MAX)
        return "longer than 4096 bytes";
    if (text.len == 0)
        return "is empty";
    if (memchr(text.p, '\n', text.len) || memchr(text.p, '\0', text.len) ||
        !utf8_valid(text))
        return "must be one line of text";
    return NULL;
}

static char *read_from(FILE *in, const char *key, const char *path,
                       char err[CONFIG_ERR_MAX])
{
    char text[SECRET_MAX + 3]; /* it may end in CR LF */
    struct stat st;
    if (fstat(fileno(in), &st) < 0)
        return refuse(err, key, path, strerror(errno));
    if (st.st_mode & S_IROTH)
        return refuse(err, key, path,
                      "everybody may read this secret; chmod o-r it");
    struct str secret = {text, fread(text, 1, sizeof(text), in)};
    if (ferror(in))
        return refuse(err, key, path, strerror(errno));
    if (secret.len > 0 && secret.p[secret.len - 1] == '\n')
        secret.len--;
    if (secret.len > 0 && secret.p[secret.len - 1] == '\r')
        secret.len--;
    const char *why = fault(secret);
    char *out =
        why ? refuse(err, key, path, why) : mem_strndup(secret.p, secret.len);
    explicit_bzero(text, sizeof(text));
    return out;
}

char *secret_read(const char *key, const char *path, char err[CONFIG_ERR_MAX])
{
    /* Not to hang on a pipe that nobody writes to. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    FILE *in = fd < 0 ? NULL : fdopen(fd, "r");
    if (!in) {
        int saved = errno;
        if (fd >= 0)
            close(fd);
        return refuse(err, key, path, strerror(saved));
    }
    (void)setvbuf(in, NULL, _IONBF, 0); /* no copy that stays in memory */
    char *out = read_from(in, key, path, err);
    (void)fclose(in);
    return out;
}
