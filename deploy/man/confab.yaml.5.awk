# Makes the manual page of the settings out of what `confab --print-config`
# prints: sections, each key with its help in the line before it.
BEGIN {
    print ".Dd November 24, 2026\n.Dt CONFAB.YAML 5\n.Os"
    print ".Sh NAME\n.Nm confab.yaml\n.Nd settings of a confab node"
    print ".Sh DESCRIPTION"
    print "A YAML file with sections of keys, all of which may be left out:"
    print ".Bd -literal -offset indent"
    print "listen:\n  port: 3000\nredis:\n  url: redis://127.0.0.1:6379"
    print ".Ed\n.Pp"
    print "Each key can be given as"
    print ".Ev CONFAB_SECTION_KEY"
    print "in the environment and as"
    print ".Fl -set Ar section.key=value ,"
    print "which win over the file in that order."
    print "Unknown or doubled keys and values out of range refuse the start with"
    print "file, line and the nearest right key."
    print "Lists are YAML lists, elsewhere items with commas between them."
    print ".Sh KEYS"
}
function escape(s) {
    gsub(/\\/, "\\e", s)
    return s
}
/^[a-z]/ {
    section = $1
    sub(/:.*/, "", section)
    if (open) print ".El"
    printf ".Ss %s\n.Bl -tag -width Ds\n", section
    open = 1
}
/^  # / { help = substr($0, 5) }
/^  [a-z]/ {
    key = $1
    sub(/:.*/, "", key)
    printf ".It Cm %s.%s\n\\&%s\n", section, key, escape(help)
}
END {
    if (open) print ".El"
    print ".Sh SEE ALSO\n.Xr confab 1 ,\n.Xr confabctl 1"
}
