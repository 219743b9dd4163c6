/* Whatever stands in a file, an assignment or a variable is either taken or
 * explained; settings that were taken survive printing and reading back. */
#include "common/config.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct settings {
    bool flag;
    uint32_t number, choice;
    char *text, *list, *secret;
};

static const char *const choices[] = {"one", "two", "three", NULL};

static const struct config_field fields[] = {
    {"a.flag", CFG_BOOL, offsetof(struct settings, flag), "no", 0, 0, NULL,
     "a flag", false},
    {"a.number", CFG_U32, offsetof(struct settings, number), "5", 1, 4000000000,
     NULL, "a number", false},
    {"a.choice", CFG_ENUM, offsetof(struct settings, choice), "one", 0, 0,
     choices, "a choice", false},
    {"b.text", CFG_STRING, offsetof(struct settings, text), "x", 1, 1000, NULL,
     "some text", false},
    {"b.list", CFG_LIST, offsetof(struct settings, list), "", 0, 1000, NULL,
     "a list", false},
    {"b.secret", CFG_STRING, offsetof(struct settings, secret), "", 0, 1000,
     NULL, "a secret", true},
};

static const struct config_table table = {fields,
                                          sizeof(fields) / sizeof(fields[0])};

static void expect(bool ok)
{
    if (!ok)
        abort();
}

static void explained(int rc, const char *err)
{
    expect(rc == 0 || rc == ERR_CONFIG);
    if (rc < 0)
        expect(err[0] != '\0' && strlen(err) < CONFIG_ERR_MAX);
}

/* The file lives in memory; opening it through /proc starts at its front. */
static int load(struct settings *s, struct str text, char err[CONFIG_ERR_MAX])
{
    static int fd = -1;
    char path[64];
    if (fd < 0)
        fd = memfd_create("config", MFD_CLOEXEC);
    expect(fd >= 0 && ftruncate(fd, 0) == 0);
    expect(pwrite(fd, text.p, text.len, 0) == (ssize_t)text.len);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int rc = config_load_file(&table, s, path, err);
    explained(rc, err);
    return rc;
}

static void print(const struct settings *s, struct buf *out)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    expect(f != NULL);
    config_print(&table, s, f);
    expect(fclose(f) == 0);
    buf_add(out, (struct str){text, len});
    free(text);
}

static void survives_printing(const struct settings *s)
{
    char err[CONFIG_ERR_MAX];
    struct settings copy;
    struct buf first;
    struct buf second;
    buf_init(&first, SIZE_MAX);
    buf_init(&second, SIZE_MAX);
    print(s, &first);
    config_defaults(&table, &copy);
    expect(load(&copy, buf_str(&first), err) == 0);
    expect(strcmp(copy.text, s->text) == 0);
    expect(strcmp(copy.list, s->list) == 0);
    print(&copy, &second);
    expect(str_eq(buf_str(&first), buf_str(&second)));
    config_fini(&table, &copy);
    buf_fini(&first);
    buf_fini(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char err[CONFIG_ERR_MAX];
    struct settings s;
    struct str in = {(const char *)data, size};
    config_defaults(&table, &s);
    if (load(&s, in, err) == 0)
        survives_printing(&s);
    int rc = config_set(&table, &s, in, "--set", err);
    explained(rc, err);
    struct buf variable;
    buf_init(&variable, SIZE_MAX);
    buf_add(&variable, STR("CONFAB_"));
    buf_add(&variable, in);
    buf_addc(&variable, '\0');
    char *environ_[] = {buf_ptr(&variable), NULL};
    explained(config_load_env(&table, &s, environ_, err), err);
    survives_printing(&s);
    buf_fini(&variable);
    config_fini(&table, &s);
    return 0;
}
