# Sourced by the tools that write into the tree. Under sudo the files made belong to the calling
# user, else that user could neither update nor delete them.

# give_back PATH...: hand what exists of PATH... to the user who called sudo.
give_back() {
    [[ ${EUID} -eq 0 && -n ${SUDO_UID:-} && -n ${SUDO_GID:-} && ${SUDO_UID} -ne 0 ]] || return 0
    local path
    for path in "$@"; do
        [[ -e ${path} || -L ${path} ]] || continue
        find "${path}" -xdev -uid 0 -exec chown --no-dereference "${SUDO_UID}:${SUDO_GID}" {} +
    done
}

# give_back_caches: the bytecode that Python left beside the sources.
give_back_caches() {
    local directory
    while IFS= read -r -d '' directory; do
        give_back "${directory}"
    done < <(find l2mesh controller planet tests tools -name __pycache__ -prune -print0 2>/dev/null)
}
