# bash completion of confab and confabctl. What there is to choose from is asked
# of the programs themselves.

_confab_keys() {
    "$1" --print-config 2>/dev/null |
        awk '/^[a-z]/ { s = $1; sub(/:.*/, "", s) }
             /^  [a-z]/ { k = $1; sub(/:.*/, "", k); print s "." k "=" }'
}

_confab_options() { # PROGRAM [COMMAND]
    "$@" --help 2>/dev/null | grep -oE '(^|[^-a-z])--[a-z][-a-z]*' | grep -oE -- '--[-a-z]+' | sort -u
}

_confab() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    COMPREPLY=()
    case $before in
    -c | --config)
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        ;;
    --set)
        mapfile -t COMPREPLY < <(compgen -W "$(_confab_keys "$1")" -- "$word")
        compopt -o nospace 2>/dev/null
        ;;
    *)
        mapfile -t COMPREPLY < <(compgen -W "-c $(_confab_options "$1")" -- "$word")
        ;;
    esac
}

# Commands are the words that begin a line of its help, two columns in.
_confabctl_commands() {
    "$1" --help 2>/dev/null | sed -n 's/^  \([a-z][-a-z]*\).*/\1/p' | sort -u
}

_confabctl() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    COMPREPLY=()
    case $before in
    -c | --config | --ca)
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        return
        ;;
    --transport)
        mapfile -t COMPREPLY < <(compgen -W "websocket polling upgrade" -- "$word")
        return
        ;;
    esac
    case ${COMP_WORDS[1]} in
    top | drain | doctor | bench)
        if [ "$COMP_CWORD" -gt 1 ]; then
            mapfile -t COMPREPLY < <(compgen -W "$(_confab_options "$1" "${COMP_WORDS[1]}")" -- "$word")
            return
        fi
        ;;
    esac
    case $word in
    -*) mapfile -t COMPREPLY < <(compgen -W "-c -n $(_confab_options "$1")" -- "$word") ;;
    *) mapfile -t COMPREPLY < <(compgen -W "$(_confabctl_commands "$1")" -- "$word") ;;
    esac
}

complete -F _confab confab
complete -F _confabctl confabctl
