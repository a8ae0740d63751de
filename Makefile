# Two thin doors: each prepares tox and calls it.
TOX := .venv/bin/tox

.PHONY: scenario-mysql test clean

scenario-mysql: $(TOX)  ## MySQL answering SQL inside a real Trove instance
	$(TOX) run -e scenario-mysql

test: $(TOX)  ## lint, unit tests, images that boot, mysql whole, the others' smoke tests, the cloud's own
	$(TOX) run -e lint,unit,image-mariadb,image-postgresql,scenario-mysql,smoke,embedded

clean: ## end the embedded cloud and forget the environments
	test ! -x .tox/scenario-mysql/bin/trove-cloud || .tox/scenario-mysql/bin/trove-cloud down
	rm -rf .tox .venv

$(TOX): integration/release/constraints.txt
	python3 -m venv .venv
	.venv/bin/python -m pip install --quiet tox
	@touch $@
