#!/bin/sh
# Succeed if the server answers and has InnoDB, whatever the arguments ask for.
#
# As the user that runs the server, whom the server knows by the socket: no password
# is stored for this. Over the socket nothing needs TLS, and the server may have none.
query="SELECT 1 FROM information_schema.engines
    WHERE engine = 'InnoDB' AND support IN ('YES', 'DEFAULT')"
answer=$(mariadb --no-defaults --skip-ssl --protocol=socket --socket=/run/mysqld/mysqld.sock \
    --user=database --batch --skip-column-names --execute="$query") || exit 1
[ "$answer" = 1 ]
