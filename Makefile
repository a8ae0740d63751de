# Two thin doors: each prepares tox and calls it.
TOX := .venv/bin/tox

.PHONY: smoke scenario-mysql test clean

smoke: $(TOX)  ## MySQL, MariaDB and PostgreSQL answering SQL inside real Trove instances
	$(TOX) run -e smoke

scenario-mysql: $(TOX)  ## all that Trove can do, with MySQL
	$(TOX) run -e scenario-mysql

test: $(TOX)  ## lint, unit tests, images that boot, each datastore's smoke tests, the cloud's own tests
	$(TOX) run -e lint,unit,image-mariadb,image-postgresql,smoke,embedded

clean: ## end the embedded cloud and forget the environments
	test ! -x .tox/smoke/bin/trove-cloud || .tox/smoke/bin/trove-cloud down
	rm -rf .tox .venv

$(TOX): integration/release/constraints.txt
	python3 -m venv .venv
	.venv/bin/python -m pip install --quiet tox
	@touch $@
