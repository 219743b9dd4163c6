/* confabctl: publishes into a cluster from the command line, and looks after
 * one. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/json_out.h"
#include "server/ctl/bench.h"
#include "server/ctl/doctor.h"
#include "server/ctl/drain.h"
#include "server/ctl/lines.h"
#include "server/ctl/options.h"
#include "server/ctl/top.h"
#include "server/io/pack.h"

enum { ARGUMENTS_MAX = 64 * 1024 * 1024 };

/* The words behind the event's name as JSON values with commas between them;
 * false, being said, when one is none. */
static bool join_arguments(const struct ctl_options *o, struct buf *out)
{
    struct json tape;
    json_init(&tape);
    int rc = 0;
    for (int i = 1; i < o->n_words && rc == 0; i++) {
        if (i > 1)
            buf_addc(out, ',');
        if (o->text) {
            json_out_string(out, str_of(o->words[i]));
            continue;
        }
        rc = json_parse(&tape, str_of(o->words[i]), pack_limits);
        if (rc < 0)
            fprintf(stderr,
                    "confabctl: argument %d is no JSON: %s\n"
                    "Strings have quotes of their own, '\"like this\"'; with "
                    "--text before the event\narguments are plain strings.\n",
                    i, o->words[i]);
        buf_add(out, str_of(o->words[i]));
    }
    json_fini(&tape);
    return rc == 0;
}

static int emit(const struct ctl_options *o, const struct sio_emission *to)
{
    struct buf args;
    buf_init(&args, ARGUMENTS_MAX);
    int rc = SIO_ERR_ARG;
    if (join_arguments(o, &args)) {
        struct sio_str text = {buf_str(&args).p, args.len};
        const char *format = args.len ? "j" : NULL;
        rc = o->command == CTL_EMIT
                 ? sio_emitter_emit(to, o->words[0], format, text)
                 : sio_emitter_server_emit(to, o->words[0], format, text);
    }
    buf_fini(&args);
    return rc;
}

static int64_t number_of(const char *room)
{
    return strtoll(room, NULL, 10);
}

static void select_clients(const struct ctl_options *o, struct sio_emission *to)
{
    for (size_t i = 0; i < o->n_to; i++) {
        if (o->numbers)
            sio_emission_to_number(to, number_of(o->to[i]));
        else
            sio_emission_to(to, sio_z(o->to[i]));
    }
    for (size_t i = 0; i < o->n_except; i++) {
        if (o->numbers)
            sio_emission_except_number(to, number_of(o->except[i]));
        else
            sio_emission_except(to, sio_z(o->except[i]));
    }
    if (o->is_volatile)
        sio_emission_volatile(to);
    if (o->no_compress)
        sio_emission_compress(to, false);
}

static int move(const struct ctl_options *o, const struct sio_emission *to)
{
    struct buf rooms;
    buf_init(&rooms, ARGUMENTS_MAX);
    for (int i = 0; i < o->n_words; i++) {
        if (i > 0)
            buf_addc(&rooms, ',');
        if (o->numbers)
            buf_add_i64(&rooms, number_of(o->words[i]));
        else
            json_out_string(&rooms, str_of(o->words[i]));
    }
    struct sio_str text = {buf_str(&rooms).p, rooms.len};
    int rc = o->command == CTL_JOIN ? sio_emitter_join(to, "j", text)
                                    : sio_emitter_leave(to, "j", text);
    buf_fini(&rooms);
    return rc;
}

static int publish(const struct ctl_options *o, struct sio_emitter *em)
{
    struct sio_emission to = sio_emission_of(em, o->nsp);
    select_clients(o, &to);
    switch (o->command) {
    case CTL_JOIN:
    case CTL_LEAVE:
        return move(o, &to);
    case CTL_DISCONNECT:
        return sio_emitter_disconnect(&to, o->close);
    default:
        return emit(o, &to);
    }
}

static int run(const struct ctl_options *o)
{
    struct sio_emitter *em =
        sio_emitter_new(o->settings.redis_url, o->settings.redis_prefix);
    if (o->command == CTL_EMIT_LINES) {
        int code = ctl_lines_run(em, STDIN_FILENO);
        sio_emitter_free(em);
        return code;
    }
    int rc = publish(o, em);
    if (rc >= 0)
        printf("published, received %d times\n", rc);
    else if (sio_emitter_error(em)[0])
        fprintf(stderr, "confabctl: %s%s\n", sio_emitter_error(em),
                rc == SIO_ERR_IO ? "; is the URL right (--redis or "
                                   "CONFAB_REDIS_URL), does Redis run?"
                                 : "");
    sio_emitter_free(em);
    return rc >= 0 ? CTL_OK : rc == SIO_ERR_IO ? CTL_FAILED : CTL_USAGE;
}

/* Commands that are not about publishing, with options of their own. */
static const struct own_command {
    const char *name;
    int (*run)(int argc, char **argv);
} own_commands[] = {
    {"doctor", doctor_main},
    {"top", top_main},
    {"bench", bench_main},
    {"drain", drain_main},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof(own_commands) / sizeof(own_commands[0]);
         i++) {
        if (argc > 1 && strcmp(argv[1], own_commands[i].name) == 0)
            return own_commands[i].run(argc - 1, argv + 1);
    }
    struct ctl_options o;
    int rc = ctl_options_read(&o, argc, argv);
    if (rc < 0)
        rc = run(&o);
    ctl_options_fini(&o);
    return rc;
}
