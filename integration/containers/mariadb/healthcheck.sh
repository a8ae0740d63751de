#!/bin/sh
# Succeed if the server answers and has InnoDB, whatever the arguments ask for.
#
# As the user that runs the server, whom the server knows by the socket: no password
# is stored for this. Over the socket nothing needs TLS, and the server may have none.
socket=/run/mysqld/mysqld.sock

# A server that is starting has not made it yet. Waiting is cheaper than to be asked again.
for _ in 1 2 3 4 5 6 7 8 9 10; do
    [ ! -S "$socket" ] || break
    sleep 0.1
done

query="SELECT 1 FROM information_schema.engines
    WHERE engine = 'InnoDB' AND support IN ('YES', 'DEFAULT')"
answer=$(mariadb --no-defaults --skip-ssl --protocol=socket --socket="$socket" \
    --user=database --batch --skip-column-names --execute="$query") || exit 1
[ "$answer" = 1 ]
