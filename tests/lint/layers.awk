# Reads the product's sources and prints each include that breaks a rule:
#   common <- adapter <- server;  inside server: http <- engine <- io <- app;
#   app uses sio.h (and what embeds files) only;  each library in its one file;
#   no two modules (x.c + x.h) include each other, directly or in a ring.
function folder(f) { sub(/\/[^\/]*$/, "", f); return f }
function module(f) { sub(/\.[ch]$/, "", f); return f }
function bad(why) { print FILENAME ":" FNR ": " why ": " $0 }
function rank(f) {
    if (f ~ /^common\//) return 1
    if (f ~ /^adapter\//) return 2
    if (f ~ /^server\/http\//) return 3
    if (f ~ /^server\/engine\//) return 4
    if (f ~ /^server\/(io\/|settings|sio\.h|sio_emitter\.h)/) return 5
    if (f ~ /^server\/app\//) return 6
    return 7
}
BEGIN {
    only["event2/"] = "common/(loop|poll|stream|resolver)"
    only["yaml.h"] = "common/config"
    only["msgpack"] = "common/mp"
    only["openssl/"] = "common/(sha1|tls)"
    only["hiredis"] = "adapter/redis"
    only["http_parser"] = "server/http/http_conn"
    only["zlib.h"] = "server/http/deflate"
    only["wslay/"] = "server/http/websocket"
}
/^#include </ {
    for (lib in only)
        if (index($0, lib) && FILENAME !~ ("^" only[lib])) bad("library out of its file")
}
/^#include "/ {
    split($0, part, "\""); inc = part[2]
    if (inc !~ /^(common|adapter|server)\//) bad("not from the repository root")
    # settings, sio.h and main's helpers belong to the io rank
    if (rank(inc) > rank(FILENAME) && !(FILENAME ~ /^server\/io\/server\.c$/ && inc ~ /^server\/(ops|admin\/admin)\.h$/))
        bad("upward include")
    if (FILENAME ~ /^server\/app\// && inc !~ /^server\/app\// && inc != "server/sio.h" && inc != "common/embed.h")
        bad("the application may use sio.h only")
    a = module(FILENAME); b = module(inc)
    if (a != b && FILENAME ~ /\.h$/) { edge[a, b] = 1; node[a] = node[b] = 1 }
}
END {
    # headers only: a ring among them is a ring among modules
    for (k in node) for (i in node) if ((i, k) in edge) for (j in node) if ((k, j) in edge) edge[i, j] = 1
    for (i in node) if ((i, i) in edge) print "ring of headers through " i
}
