#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/metrics.h"
#include "server/io/host.h"
#include "server/io/namespace.h"

static struct sio_server *srv;
static struct sio_namespace *ns;
static char seen[400];

/* Notes who was called, the name and the arguments. */
static void note(struct sio_namespace *of, struct sio_event *e, void *who)
{
    assert_ptr_equal(of, ns);
    assert_false(sio_wants_ack(e));
    assert_int_equal(sio_reply(e, "i", 1), 0);
    assert_null(sio_ack_take(e));
    struct sio_str name = sio_event_name(e);
    size_t n = strlen(seen);
    n += (size_t)snprintf(seen + n, sizeof(seen) - n, "%s:%.*s",
                          (const char *)who, (int)name.len, name.p);
    for (size_t i = 0; i < sio_arg_count(e); i++) {
        struct sio_str json = sio_json(sio_arg(e, i));
        n += (size_t)snprintf(seen + n, sizeof(seen) - n, " %.*s",
                              (int)json.len, json.p);
    }
    snprintf(seen + n, sizeof(seen) - n, ";");
}

static void comes(const char *data)
{
    seen[0] = '\0';
    namespace_host.server_event(ns, str_of(data), NULL);
}

static char any[] = "any", one[] = "one", two[] = "two";

static int set_up(void **state)
{
    (void)state;
    srv = sio_server_new();
    ns = sio_of(srv, "/unit");
    assert_int_equal(sio_server_set(srv, "listen.port=0"), 0);
    assert_int_equal(sio_server_set(srv, "listen.host=127.0.0.1"), 0);
    assert_int_equal(sio_server_emit(ns, "early", NULL), SIO_ERR_STATE);
    assert_int_equal(sio_server_listen(srv), 0);
    sio_on_server_event(ns, "hi", note, one);
    sio_on_server_event(ns, "hi", note, two);
    sio_on_any_server_event(ns, note, any);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sio_server_free(srv);
    return 0;
}

static void handlers_are_called_in_order_behind_those_for_all(void **state)
{
    (void)state;
    comes("[\"hi\",1,{\"a\":[null]}]");
    assert_string_equal(seen, "any:hi 1 {\"a\":[null]};one:hi 1 {\"a\":[null]};"
                              "two:hi 1 {\"a\":[null]};");
    comes("[\"other\"]");
    assert_string_equal(seen, "any:other;");
}

static void what_is_no_event_is_counted(void **state)
{
    (void)state;
    static const char deep[] =
        "[\"hi\",[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]";
    static const char *const rows[] = {"[]", "[1", deep};
    uint64_t before = metrics_value[M_LIMIT_JSON];
    for (size_t i = 0; i < 3; i++) {
        comes(rows[i]);
        assert_string_equal(seen, "");
    }
    assert_int_equal(metrics_value[M_LIMIT_JSON] - before, 3);
}

static void a_name_of_any_type_is_one(void **state)
{
    (void)state;
    comes("[{\"hi\":1},2]");
    assert_string_equal(seen, "any:{\"hi\":1} 2;");
}

static void what_node_js_namespaces_say_is_reserved(void **state)
{
    (void)state;
    static const char *const names[] = {"connect", "connection",
                                        "new_namespace", "error"};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(sio_server_emit(ns, names[i], "i", 1), SIO_ERR_ARG);
    assert_int_equal(sio_server_emit(ns, "disconnect", "i", 1), 0);
    assert_int_equal(sio_server_emit(ns, "hi", "j", SIO_STR("{")), SIO_ERR_ARG);
}

static size_t told, missing_then;
static bool tell_again;

static void on_answers(struct sio_event *answers, size_t missing, void *arg)
{
    told += sio_type(sio_arg(answers, 0)) == SIO_ARRAY;
    missing_then = missing;
    if (tell_again)
        assert_int_equal(sio_all_rooms(arg, on_answers, arg), SIO_ERR_STATE);
}

static void on_count(size_t servers, void *arg)
{
    (void)arg;
    assert_int_equal(servers, 1);
    told++;
}

static void a_server_that_is_freed_has_ended_its_questions(void **state)
{
    (void)state;
    struct sio_broadcast all = sio_all(ns);
    told = 0;
    tell_again = true;
    assert_int_equal(sio_fetch_sockets(&all, on_answers, ns), 0);
    assert_int_equal(sio_all_rooms(ns, on_answers, ns), 0);
    assert_int_equal(sio_server_count(ns, on_count, ns), 0);
    assert_int_equal(sio_server_emit_ack(ns, 1000, on_answers, ns, "hi", NULL),
                     0);
    assert_int_equal(sio_broadcast_ack(&all, 1000, on_answers, ns, "hi", NULL),
                     0);
    struct sio_open_questions open = sio_open_questions(ns);
    assert_int_equal(open.requests, 4);
    assert_int_equal(open.broadcasts, 1);
    assert_int_equal(told, 0);
    sio_server_free(srv);
    srv = NULL;
    assert_int_equal(told, 5);
    assert_int_equal(missing_then, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handlers_are_called_in_order_behind_those_for_all),
        cmocka_unit_test(what_is_no_event_is_counted),
        cmocka_unit_test(a_name_of_any_type_is_one),
        cmocka_unit_test(what_node_js_namespaces_say_is_reserved),
        cmocka_unit_test(a_server_that_is_freed_has_ended_its_questions),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
