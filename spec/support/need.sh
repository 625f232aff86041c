#!/bin/sh
# spec/support/need.sh -- installs what a make target needs and is not there.
#
#   sh spec/support/need.sh build test ...
#
# First it only looks; when everything is there it says nothing and needs no
# network.  Otherwise it calls apt-get (as root, or through sudo -n) and, for
# the group "test", npm into build/node.  Without the right to install it
# prints the command to run and fails.

node_dir=build/node
# playwright-core: the last ones want a newer Node than Debian 12 has
node_modules="ws@8 playwright-core@1.52.0"

# Group, how to see that it is there, Debian package.
#   c NAME  a command      p NAME  a pkg-config package   f FILE  a file
#   l NAME  a Lua module   y NAME  a module of Debian's python3
#   s NAME  a shared library
table() {
    cat <<'TABLE'
build     c gcc                            gcc
build     c pkg-config                     pkg-config
build     f /usr/include/stdio.h           libc6-dev
build     c lua5.4                         lua5.4
build     p lua5.4                         liblua5.4-dev
build     p libssl                         libssl-dev
build     p zlib                           zlib1g-dev
test      l luaunit                        lua-unit
test      l socket                         lua-socket
test      l luasql.sqlite3                 lua-sql-sqlite3
test      l luv                            lua-luv
test      l cqueues                        lua-cqueues
test      f /usr/share/lua/5.2/copas.lua   lua-copas
test      c curl                           curl
test      c openssl                        openssl
test      c node                           nodejs
test      c nginx                          nginx-light
test      f /usr/lib/nginx/modules/ngx_http_lua_module.so libnginx-mod-http-lua
test      f /usr/share/lua/5.1/nginx/websocket/client.lua lua-nginx-websocket
test      c haproxy                        haproxy
test      c apache2                        apache2-bin
test      c squid                          squid
test      c tinyproxy                      tinyproxy
test      c microsocks                     microsocks
test      c chromium                       chromium
test      c stunnel                        stunnel4
test      c certutil                       libnss3-tools
test      y websockets                     python3-websockets
test      c tmux                           tmux
test      s libreadline.so.8               libreadline8
test      s libedit.so.2                   libedit2
test      c luarocks                       luarocks
unit      c tmux                           tmux
unit      s libreadline.so.8               libreadline8
unit      s libedit.so.2                   libedit2
unit      c openssl                        openssl
unit      l luaunit                        lua-unit
unit      l socket                         lua-socket
unit      l luv                            lua-luv
unit      l cqueues                        lua-cqueues
unit      f /usr/share/lua/5.2/copas.lua   lua-copas
check     c luacheck                       lua-check
check     c clang-format                   clang-format
check     c clang-tidy                     clang-tidy
check     c luarocks                       luarocks
check     c nm                             binutils
valgrind  c valgrind                       valgrind
fuzz      c clang                          clang
fuzz      r libclang_rt.fuzzer             libclang-rt-dev
cover     c gcov                           gcc
doc       c ldoc                           lua-ldoc
TABLE
}

there() { # kind name
    case $1 in
    c) command -v "$2" >/dev/null 2>&1 ||
        [ -x "/usr/sbin/$2" ] || alternative "$2" ;;
    p) pkg-config --exists "$2" 2>/dev/null ;;
    f) [ -e "$2" ] ;;
    l) lua5.4 -e "require '$2'" >/dev/null 2>&1 ;;
    y) /usr/bin/python3 -c "import $2" >/dev/null 2>&1 ;;
    s) /sbin/ldconfig -p | grep -q "[[:space:]]$2 " ;;
    r) [ -e "$(clang -print-file-name="$2-$(uname -m).a" 2>/dev/null)" ] ;;
    esac
}

alternative() { # the same program under another name
    case $1 in
    chromium) command -v chromium-browser || command -v google-chrome ;;
    *) false ;;
    esac >/dev/null 2>&1
}

missing() { # groups...: the packages that are not there
    table | while read -r group kind name package; do
        for wanted in "$@"; do
            if [ "$group" = "$wanted" ] && ! there "$kind" "$name"; then
                echo "$package"
            fi
        done
    done | sort -u
}

install() { # packages...
    command="apt-get install -y --no-install-recommends $*"
    if ! command -v apt-get >/dev/null; then
        echo "need.sh: please install these (Debian's names): $*" >&2
        return 1
    fi
    if [ "$(id -u)" = 0 ]; then
        as=
    elif sudo -n true 2>/dev/null; then
        as="sudo -n"
    else
        echo "need.sh: something is missing and this is not root; please run:" >&2
        echo "    sudo apt-get update && sudo $command" >&2
        return 1
    fi
    echo "need.sh: $command" >&2
    $as apt-get update -q </dev/null >&2 || true
    $as env DEBIAN_FRONTEND=noninteractive $command </dev/null >&2
}

install_node() {
    for module in $node_modules; do
        grep -q "\"version\": \"${module#*@}" \
            "$node_dir/node_modules/${module%@*}/package.json" 2>/dev/null || absent=1
    done
    [ -z "$absent" ] && return 0
    command -v npm >/dev/null || install npm || return 1
    mkdir -p "$node_dir"
    [ -e "$node_dir/package.json" ] || echo '{"private":true}' >"$node_dir/package.json"
    echo "need.sh: npm install $node_modules (into $node_dir)" >&2
    npm install --prefix "$node_dir" --prefer-offline --no-audit --no-fund \
        --ignore-scripts --loglevel=error $node_modules </dev/null >&2
}

packages=$(missing "$@" | tr '\n' ' ')
if [ -n "$packages" ]; then
    install $packages || exit 1
    left=$(missing "$@" | tr '\n' ' ')
    if [ -n "$left" ]; then
        echo "need.sh: still missing after the installation: $left" >&2
        exit 1
    fi
fi
case " $* " in
*" test "*) install_node || exit 1 ;;
esac
