"""The plugins of this tree: a topic each, named here and nowhere else.

A plugin imports only those above it.
"""

pytest_plugins = (
    "pytester",
    "trove.tests.fixtures.options",
    "trove.tests.fixtures.scheduling",
    "trove.tests.fixtures.applicability",
    "trove.tests.fixtures.budgets",
    "trove.tests.fixtures.runs",
    "trove.tests.fixtures.reporting",
    "trove.tests.fixtures.live_view",
    "trove.tests.fixtures.timeline",
    "trove.tests.fixtures.junit",
    "trove.tests.fixtures.html_report",
    "trove.tests.fixtures.api_coverage",
    "trove.tests.fixtures.images",
    "trove.tests.fixtures.cloud",
    "trove.tests.fixtures.capacity",
    "trove.tests.fixtures.flavors",
    "trove.tests.fixtures.networks",
    "trove.tests.fixtures.datastores",
    "trove.tests.fixtures.instances",
    "trove.tests.fixtures.tls",
    "trove.tests.fixtures.guest_health",
    "trove.tests.fixtures.neighbours",
    "trove.tests.fixtures.object_store",
    "trove.tests.fixtures.backups",
    "trove.tests.fixtures.modules",
    "trove.tests.fixtures.diagnostics",
)
