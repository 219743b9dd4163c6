#include "common/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <unistd.h>

#include "common/mem.h"

struct settings {
    bool sticky;
    uint32_t port;
    uint32_t mode;
    char *name;
    char *origins;
    char *password;
};

static const char *const modes[] = {"local", "redis", "sharded", NULL};

static const struct config_field fields[] = {
    {"server.port", CFG_U32, offsetof(struct settings, port), "3000", 1, 65535,
     NULL, "TCP port to listen on", 0},
    {"server.name", CFG_STRING, offsetof(struct settings, name), "node", 1, 20,
     NULL, "name of this node", 0},
    {"server.origins", CFG_LIST, offsetof(struct settings, origins), "*", 0,
     100, NULL, "origins that may connect", 0},
    {"redis.mode", CFG_ENUM, offsetof(struct settings, mode), "local", 0, 0,
     modes, "how nodes find each other", 0},
    {"redis.password", CFG_STRING, offsetof(struct settings, password), "", 0,
     20, NULL, "password of Redis", CFG_SECRET},
    {"server.sticky", CFG_BOOL, offsetof(struct settings, sticky), "true", 0, 0,
     NULL, "whether a balancer pins clients", 0},
};

static const struct config_table table = {fields,
                                          sizeof(fields) / sizeof(fields[0])};

static struct settings s;
static char err[CONFIG_ERR_MAX];

static int defaults(void **state)
{
    (void)state;
    memset(&s, 0xA5, sizeof(s));
    memset(err, 0, sizeof(err));
    config_defaults(&table, &s);
    return 0;
}

static int fini(void **state)
{
    (void)state;
    config_fini(&table, &s);
    return 0;
}

static int load(struct str text)
{
    char path[] = "/tmp/confab-config-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text.p, text.len), text.len);
    (void)close(fd);
    int rc = config_load_file(&table, &s, path, err);
    (void)unlink(path);
    /* Sentences begin with the path; the tests are about what follows. */
    if (rc < 0) {
        assert_memory_equal(err, path, strlen(path));
        memmove(err, err + strlen(path), strlen(err + strlen(path)) + 1);
    }
    return rc;
}

static void accepts(const char *text)
{
    if (load(str_of(text)) != 0)
        fail_msg("refused: %s", err);
}

static void refuses(const char *text, const char *sentence)
{
    assert_int_equal(load(str_of(text)), ERR_CONFIG);
    assert_string_equal(err, sentence);
}

static void defaults_come_from_the_table(void **state)
{
    (void)state;
    assert_int_equal(s.port, 3000);
    assert_true(s.sticky);
    assert_int_equal(s.mode, 0);
    assert_string_equal(s.name, "node");
    assert_string_equal(s.origins, "*");
    assert_string_equal(s.password, "");
}

static void a_file_overrides_what_it_names(void **state)
{
    (void)state;
    accepts("# a comment\n"
            "server:\n"
            "  port: 8080\n"
            "  name: \"caf\xC3\xA9\"\n"
            "  origins: [http://a, 'http://b,c']\n"
            "  sticky: off\n"
            "redis:\n"
            "  mode: sharded\n");
    assert_int_equal(s.port, 8080);
    assert_string_equal(s.name, "caf\xC3\xA9");
    assert_string_equal(s.origins, "http://a\nhttp://b,c");
    assert_false(s.sticky);
    assert_int_equal(s.mode, 2);
    assert_string_equal(s.password, "");
}

static void values_are_compared_and_exchanged_key_by_key(void **state)
{
    (void)state;
    struct settings other;
    config_defaults(&table, &other);
    for (size_t i = 0; i < table.n; i++)
        assert_true(config_same(&fields[i], &s, &other));
    accepts("server: {port: 8080, name: b, sticky: off}\n");
    for (size_t i = 0; i < table.n; i++) {
        const struct config_field *f = &fields[i];
        bool changed = strcmp(f->key, "server.port") == 0 ||
                       strcmp(f->key, "server.name") == 0 ||
                       strcmp(f->key, "server.sticky") == 0;
        assert_int_equal(config_same(f, &s, &other), !changed);
        config_swap(f, &s, &other);
    }
    assert_int_equal(other.port, 8080);
    assert_string_equal(other.name, "b");
    assert_false(other.sticky);
    assert_int_equal(s.port, 3000);
    assert_true(s.sticky);
    config_fini(&table, &other);
}

static void an_empty_file_changes_nothing(void **state)
{
    (void)state;
    accepts("");
    accepts("# only a comment\n");
    accepts("---\n");
    accepts("server:\nredis:\n");
    accepts("server: {}\n");
    assert_int_equal(s.port, 3000);
}

static void a_file_that_cannot_be_read_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(config_load_file(&table, &s, "/nowhere/x.yaml", err),
                     ERR_CONFIG);
    assert_string_equal(err, "/nowhere/x.yaml: No such file or directory");
    assert_int_equal(config_load_file(&table, &s, "/", err), ERR_CONFIG);
}

static void unknown_keys_name_the_nearest(void **state)
{
    (void)state;
    refuses("server:\n  prot: 1\n",
            ":2:3: unknown key server.prot, did you mean server.port?");
    refuses("redis:\n    pasword: x\n",
            ":2:5: unknown key redis.pasword, did you mean redis.password?");
    refuses("sever:\n  port: 1\n",
            ":1:1: unknown section sever, did you mean server?");
    refuses("port: 1\n", ":1:1: unknown section port, did you mean server?");
    refuses("server:\n  \"a b\\n\": 1\n",
            ":2:3: unknown key \"server.a b\\x0a\", did you mean server.port?");
}

static void duplicates_are_refused(void **state)
{
    (void)state;
    refuses("server:\n  port: 1\n  port: 2\n",
            ":3:3: server.port is given twice");
    refuses("server: {}\nredis: {}\nserver: {}\n",
            ":3:1: section server is given twice");
}

static void anchors_aliases_and_tags_are_refused(void **state)
{
    (void)state;
    refuses("server: &a\n  port: 1\n", ":1:9: anchors are not supported");
    refuses("server:\n  port: &a 1\n", ":2:9: anchors are not supported");
    refuses("server:\n  origins: &a [x]\n", ":2:12: anchors are not supported");
    refuses("server:\n  origins: [&a x]\n", ":2:13: anchors are not supported");
    refuses("server:\n  port: *a\n", ":2:9: aliases are not supported");
    refuses("server:\n  port: !!int 1\n", ":2:9: tags are not supported");
    refuses("server: !x {}\n", ":1:9: tags are not supported");
}

static void numbers_must_be_whole_and_in_range(void **state)
{
    (void)state;
#define WANT "server.port must be a whole number from 1 to 65535, not "
    refuses("server:\n  port: 0\n", ":2:9: " WANT "0");
    refuses("server:\n  port: 65536\n", ":2:9: " WANT "65536");
    refuses("server:\n  port: 1.5\n", ":2:9: " WANT "1.5");
    refuses("server:\n  port: -1\n", ":2:9: " WANT "-1");
    refuses("server:\n  port: 1 2\n", ":2:9: " WANT "\"1 2\"");
    refuses("server:\n  port: \"80\"\n",
            ":2:9: server.port must not be in quotes");
#undef WANT
    assert_int_equal(s.port, 3000);
}

static void words_must_be_among_the_choices(void **state)
{
    (void)state;
    refuses("server:\n  sticky: maybe\n",
            ":2:11: server.sticky must be true or false, not maybe");
    refuses("redis:\n  mode: Redis\n",
            ":2:9: redis.mode must be one of local, redis, sharded, "
            "not Redis");
}

static void kinds_of_values_are_not_mixed_up(void **state)
{
    (void)state;
    refuses("server:\n  port: [1]\n",
            ":2:9: server.port must be a single value");
    refuses("server:\n  name: {a: b}\n",
            ":2:9: server.name must be a single value");
    refuses("server:\n  port:\n", ":2:8: server.port has no value");
    refuses("server:\n  origins: a\n", ":2:12: server.origins must be a list");
    refuses("server:\n  origins: [[a]]\n",
            ":2:13: items of server.origins must be one line of text each");
    refuses("server:\n  origins: [\"a\\nb\"]\n",
            ":2:13: items of server.origins must be one line of text each");
    refuses("server: 1\n", ":1:9: a section must hold \"key: value\" lines");
    refuses("[a]\n", ":1:1: expected sections, like \"server:\"");
    refuses("? [a]\n: b\n", ":1:3: expected the name of a section");
    refuses("server:\n  ? [a]\n  : b\n", ":2:5: expected the name of a key");
}

static void text_is_bounded_and_clean(void **state)
{
    (void)state;
    refuses("server:\n  name: \"\"\n",
            ":2:9: server.name must be 1 to 20 bytes long, not 0");
    refuses("server:\n  name: aaaaaaaaaaaaaaaaaaaaa\n",
            ":2:9: server.name must be 1 to 20 bytes long, not 21");
    refuses("server:\n  name: \"a\\0b\"\n",
            ":2:9: server.name must not hold a NUL");
    assert_int_equal(
        config_set(&table, &s, STR("server.name=\xff"), "--set", err),
        ERR_CONFIG);
    assert_string_equal(err, "--set: server.name must be UTF-8");
}

static void broken_yaml_is_located(void **state)
{
    (void)state;
    assert_int_equal(load(STR("server:\n  port: 'x\n")), ERR_CONFIG);
    assert_non_null(strstr(err, ":3:1: not YAML: "));
    assert_int_equal(load(STR("server:\n\tport: 1\n")), ERR_CONFIG);
    assert_non_null(strstr(err, ":2:1: not YAML: "));
    assert_int_equal(load(STR("server: {}\n#a \xff\n")), ERR_CONFIG);
    assert_non_null(strstr(err, ":2:4: not YAML: "));
}

static void a_second_document_is_refused(void **state)
{
    (void)state;
    refuses("server: {}\n---\nredis: {}\n",
            ":2:1: only one document is expected");
}

static void large_files_are_refused(void **state)
{
    (void)state;
    size_t len = 1024 * 1024 + 1;
    char *text = mem_alloc(len);
    memset(text, '#', len);
    assert_int_equal(load((struct str){text, len - 1}), 0);
    assert_int_equal(load((struct str){text, len}), ERR_CONFIG);
    assert_string_equal(err, ": larger than 1 MiB");
    mem_free(text);
}

static int set(const char *assignment)
{
    return config_set(&table, &s, str_of(assignment), "--set", err);
}

static void set_takes_one_assignment(void **state)
{
    (void)state;
    assert_int_equal(set("server.port=81"), 0);
    assert_int_equal(s.port, 81);
    assert_int_equal(set("server.name=a=b"), 0);
    assert_string_equal(s.name, "a=b");
    assert_int_equal(set("server.origins= a , b"), 0);
    assert_string_equal(s.origins, "a\nb");
    assert_int_equal(set("server.origins="), 0);
    assert_string_equal(s.origins, "");
    assert_int_equal(set("server.sticky=NO"), 0);
    assert_false(s.sticky);
    assert_int_equal(set("redis.password="), 0);
}

static void set_explains_what_is_wrong(void **state)
{
    (void)state;
    assert_int_equal(set("server.port"), ERR_CONFIG);
    assert_string_equal(err, "--set: expected section.key=value");
    assert_int_equal(set("server.prt=1"), ERR_CONFIG);
    assert_string_equal(
        err, "--set: unknown key server.prt, did you mean server.port?");
    assert_int_equal(set("=1"), ERR_CONFIG);
    assert_int_equal(set(""), ERR_CONFIG);
    assert_int_equal(set("server.origins=a,,b"), ERR_CONFIG);
}

static int load_env(const char *one)
{
    char *copy = mem_strndup(one, strlen(one));
    char path[] = "PATH=/bin";
    char other[] = "CONFABULATE=1";
    char *env[] = {path, other, copy, NULL};
    int rc = config_load_env(&table, &s, env, err);
    mem_free(copy);
    return rc;
}

static void the_environment_names_keys_in_capitals(void **state)
{
    (void)state;
    assert_int_equal(load_env("CONFAB_SERVER_PORT=82"), 0);
    assert_int_equal(s.port, 82);
    assert_int_equal(load_env("CONFAB_REDIS_PASSWORD=a=b"), 0);
    assert_string_equal(s.password, "a=b");
}

static void the_environment_is_checked_like_a_file(void **state)
{
    (void)state;
    assert_int_equal(load_env("CONFAB_SERVER_PROT=82"), ERR_CONFIG);
    assert_string_equal(err, "environment: unknown variable "
                             "CONFAB_SERVER_PROT, did you mean "
                             "CONFAB_SERVER_PORT?");
    assert_int_equal(load_env("CONFAB_SERVER_PORT=x"), ERR_CONFIG);
    assert_string_equal(err, "CONFAB_SERVER_PORT: server.port must be a whole "
                             "number from 1 to 65535, not x");
}

static void service_links_of_kubernetes_are_not_settings(void **state)
{
    (void)state;
    assert_int_equal(load_env("CONFAB_SERVICE_HOST=10.0.0.1"), 0);
    assert_int_equal(load_env("CONFAB_PORT=tcp://10.0.0.1:80"), 0);
    assert_int_equal(load_env("CONFAB_PORT_80_TCP=tcp://10.0.0.1:80"), 0);
    assert_int_equal(load_env("CONFAB_PORTS=80"), ERR_CONFIG);
}

static void no_sentence_gives_a_secret_away(void **state)
{
    (void)state;
    const char *const texts[] = {
        "redis:\n  password: sesame-open-sesame-open\n",
        "redis:\n  password: [sesame]\n",
        "redis:\n  password: !!str sesame\n",
        "redis:\n  password: \"sesame\n",
        "redis:\n  pasword: sesame\n",
        "redis:\n  password: \"sesame\\0\"\n",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(load(str_of(texts[i])), ERR_CONFIG);
        assert_null(strstr(err, "sesame"));
    }
    assert_int_equal(set("redis.passwd=sesame"), ERR_CONFIG);
    assert_null(strstr(err, "sesame"));
    assert_int_equal(load_env("CONFAB_REDIS_PASSWD=sesame"), ERR_CONFIG);
    assert_null(strstr(err, "sesame"));
}

/* The printed file; the caller frees it. */
static struct str print(void)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    config_print(&table, &s, out);
    (void)fclose(out);
    return (struct str){text, len};
}

static void print_shows_every_key_with_its_help(void **state)
{
    (void)state;
    assert_int_equal(set("redis.password=sesame"), 0);
    assert_int_equal(set("server.origins=a,b"), 0);
    struct str got = print();
    assert_true(str_eq(
        got, STR("server:\n"
                 "  # TCP port to listen on (default 3000, 1 to 65535)\n"
                 "  port: 3000\n"
                 "  # name of this node (default \"node\")\n"
                 "  name: \"node\"\n"
                 "  # origins that may connect (default \"*\")\n"
                 "  origins: [\"a\", \"b\"]\n"
                 "  # whether a balancer pins clients (default true)\n"
                 "  sticky: true\n"
                 "redis:\n"
                 "  # how nodes find each other (default local; one of local, "
                 "redis, sharded)\n"
                 "  mode: local\n"
                 "  # password of Redis (default \"\")\n"
                 "  password: \"********\"\n")));
    free((char *)(uintptr_t)got.p);
}

static void what_is_printed_loads_again(void **state)
{
    (void)state;
    assert_int_equal(set("server.name=\"\\\n\t\x7f \xE2\x80\xA8\xC2\x85"), 0);
    assert_int_equal(set("server.origins=#x,- a,\xEF\xBB\xBF,\xF0\x9F\x98\x80"),
                     0);
    assert_int_equal(set("server.sticky=no"), 0);
    assert_int_equal(set("redis.mode=redis"), 0);
    struct settings before = s;
    struct str text = print();
    config_defaults(&table, &s);
    assert_int_equal(load(text), 0);
    assert_string_equal(s.name, before.name);
    assert_string_equal(s.origins, before.origins);
    assert_int_equal(s.sticky, before.sticky);
    assert_int_equal(s.mode, before.mode);
    assert_string_equal(s.password, "");
    free((char *)(uintptr_t)text.p);
    config_fini(&table, &before);
}

static void fini_may_be_repeated(void **state)
{
    (void)state;
    config_fini(&table, &s);
    config_fini(&table, &s);
    assert_null(s.name);
}

#define with_settings(f) cmocka_unit_test_setup_teardown(f, defaults, fini)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_settings(defaults_come_from_the_table),
        with_settings(a_file_overrides_what_it_names),
        with_settings(values_are_compared_and_exchanged_key_by_key),
        with_settings(an_empty_file_changes_nothing),
        with_settings(a_file_that_cannot_be_read_is_an_error),
        with_settings(unknown_keys_name_the_nearest),
        with_settings(duplicates_are_refused),
        with_settings(anchors_aliases_and_tags_are_refused),
        with_settings(numbers_must_be_whole_and_in_range),
        with_settings(words_must_be_among_the_choices),
        with_settings(kinds_of_values_are_not_mixed_up),
        with_settings(text_is_bounded_and_clean),
        with_settings(broken_yaml_is_located),
        with_settings(a_second_document_is_refused),
        with_settings(large_files_are_refused),
        with_settings(set_takes_one_assignment),
        with_settings(set_explains_what_is_wrong),
        with_settings(the_environment_names_keys_in_capitals),
        with_settings(the_environment_is_checked_like_a_file),
        with_settings(service_links_of_kubernetes_are_not_settings),
        with_settings(no_sentence_gives_a_secret_away),
        with_settings(print_shows_every_key_with_its_help),
        with_settings(what_is_printed_loads_again),
        with_settings(fini_may_be_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
