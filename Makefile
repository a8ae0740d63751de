# Thin doors: each prepares tox and calls it.
TOX := .venv/bin/tox
# Every environment has it; any will do.
TROVE_CLOUD = $(firstword $(wildcard .tox/*/bin/trove-cloud))

.PHONY: smoke scenario-mysql test down clean

smoke: $(TOX)  ## MySQL, MariaDB and PostgreSQL answering SQL inside real Trove instances
	$(TOX) run -e smoke

scenario-mysql: $(TOX)  ## all that Trove can do, with MySQL
	$(TOX) run -e scenario-mysql

test: $(TOX)  ## lint, unit tests, documentation, images that boot, each datastore's smoke tests, the cloud's own tests
	$(TOX) run --result-json .tox/result.json -e lint,unit,docs,image-mariadb,image-postgresql,smoke,embedded

down: ## end the embedded cloud
	$(if $(TROVE_CLOUD),$(TROVE_CLOUD) down)

clean: down ## forget the environments, too
	rm -rf .tox .venv

$(TOX): integration/release/constraints.txt
	python3 -m venv .venv
	.venv/bin/python -m pip install --quiet tox
	@touch $@
