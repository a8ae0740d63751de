"""What all services stand on: disks, database, message queue, names, libvirt."""

from trove.tests.embedded import addresses, probes
from trove.tests.embedded.cloud import Cloud
from trove.tests.embedded.components import COMPONENTS
from trove.tests.embedded.services.builders import DATABASE_SOCKET
from trove.tests.embedded.units import Service, Task, Unit

# What the disks may grow to; the file that holds them is sparse.
_DISKS_SIZE = "256G"
_RABBITMQ = "/usr/lib/rabbitmq/bin/rabbitmq-server"


def units(cloud: Cloud) -> list[Unit]:
    """Return the units of what all services stand on."""
    data = f"{cloud.state}/mariadb"
    return [
        Task(
            name="disks",
            folders=(cloud.disks.name,),
            commands=(
                ("truncate", f"--size={_DISKS_SIZE}", str(cloud.disks_file)),
                # XFS copies by reference: guests' disks, clones and snapshots cost nothing.
                ("mkfs.xfs", "-q", str(cloud.disks_file)),
                # mount's own loop device ends with the mount, and that with the cloud.
                ("mount", "-o", "loop,discard", str(cloud.disks_file), str(cloud.disks)),
            ),
            lasting=False,
        ),
        Task(
            name="mariadb-files",
            commands=(
                (
                    *("mariadb-install-db", "--no-defaults", f"--datadir={data}", "--user=root"),
                    *("--auth-root-authentication-method=socket", "--auth-root-socket-user=root"),
                    *("--skip-test-db", "--skip-name-resolve"),
                ),
            ),
        ),
        Service(
            name="mariadb",
            after=("mariadb-files",),
            command=(
                *("/usr/sbin/mariadbd", "--no-defaults", f"--datadir={data}", "--user=root"),
                *(f"--socket={DATABASE_SOCKET}", "--bind-address=127.0.0.1", "--skip-name-resolve"),
                *("--pid-file=/run/mariadb.pid", "--init-file=/etc/mariadb.sql"),
                *("--max-connections=500", "--performance-schema=off"),
                # This cloud never outlives a power cut, so nothing waits for the disk;
                # but a server that was killed has all that it said was done.
                *("--innodb-flush-log-at-trx-commit=2", "--innodb-flush-method=nosync"),
                *("--innodb-doublewrite=0", "--innodb-buffer-pool-size=192M"),
            ),
            ready=probes.accepts_local(cloud.folder / "run" / "mariadb.sock"),
        ),
        Service(
            name="rabbitmq",
            command=(_RABBITMQ,),
            environment={
                "RABBITMQ_CONFIG_FILE": "/etc/rabbitmq/rabbitmq.conf",
                "RABBITMQ_CONF_ENV_FILE": "/etc/rabbitmq/rabbitmq-env.conf",
                "RABBITMQ_ENABLED_PLUGINS_FILE": "/dev/null",
                "ERL_EPMD_ADDRESS": "127.0.0.1",
            },
            ready=probes.accepts_tcp(str(cloud.net.api), 5672),
            urgent=True,
        ),
        Service(
            name="tls-proxy",
            command=("/usr/sbin/haproxy", "-db", "-f", "/etc/haproxy/haproxy.cfg"),
            ready=probes.accepts_tcp(str(cloud.net.api), COMPONENTS["keystone"].port),
        ),
        Service(
            name="name-server",
            command=(
                *("/usr/sbin/dnsmasq", "--conf-file=/dev/null", "--keep-in-foreground"),
                *("--user=root", "--pid-file=", f"--listen-address={cloud.net.api}"),
                # Who asks for anything else learns at once that it does not exist.
                *("--bind-interfaces", "--no-resolv", "--no-hosts", "--local=/#/"),
                f"--host-record={addresses.API_NAME},{cloud.net.api}",
            ),
            ready=probes.accepts_tcp(str(cloud.net.api), addresses.DNS_PORT),
        ),
        Service(
            name="libvirtd",
            command=("/usr/sbin/libvirtd", "--config", "/etc/libvirt/libvirtd.conf"),
            ready=probes.accepts_local(cloud.folder / "run" / "libvirt" / "libvirt-sock"),
        ),
    ]
