"""The alert rules, by Prometheus' own tool."""

import re

import yaml

from tests.support.prerequisites import REPOSITORY
from tests.support.prometheus import INFRA, promtool


def test_the_rules_and_the_configuration_are_valid():
    answer = promtool("check", "rules", "--lint-fatal", "alerts.yaml")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    answer = promtool("check", "config", "prometheus.yaml")
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_with_tls_the_same_is_scraped(tmp_path):
    plain, tls = (
        yaml.safe_load((INFRA / "prometheus" / name).read_text(encoding="utf-8"))
        for name in ("prometheus.yaml", "prometheus-tls.yaml")
    )
    (job,) = tls["scrape_configs"]
    assert job.pop("scheme") == "https"
    (tmp_path / "ca.pem").touch()
    files = job["tls_config"] | {"ca_file": str(tmp_path / "ca.pem")}
    (tmp_path / "tls.yaml").write_text(
        yaml.safe_dump({"scrape_configs": [{**job, "scheme": "https", "tls_config": files}]})
    )
    answer = promtool("check", "config", str(tmp_path / "tls.yaml"))
    assert answer.returncode == 0, answer.stdout + answer.stderr
    del job["tls_config"]
    assert plain == tls


def test_the_configuration_for_kubernetes_is_valid_but_for_what_debian_leaves_out(tmp_path):
    """Debian builds Prometheus without discovery in Kubernetes: everything else of it is checked."""
    (job,) = yaml.safe_load((INFRA / "prometheus" / "kubernetes.yaml").read_text(encoding="utf-8"))["scrape_configs"]
    assert job.pop("kubernetes_sd_configs") == [{"role": "pod"}]
    (tmp_path / "rest.yaml").write_text(yaml.safe_dump({"scrape_configs": [job]}))
    answer = promtool("check", "config", str(tmp_path / "rest.yaml"))
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_each_alert_fires_on_what_it_is_for_and_on_nothing_that_is_well():
    answer = promtool("test", "rules", "alerts.test.yaml")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    alerts = {r["alert"] for g in rules()["groups"] for r in g["rules"]}
    cases = [case for test in scenarios() for case in test["alert_rule_test"]]
    assert {case["alertname"] for case in cases if case.get("exp_alerts")} == alerts
    assert {case["alertname"] for case in cases if not case.get("exp_alerts")} == alerts


def test_each_alert_has_a_section_in_the_run_book_and_each_section_an_alert():
    book = (REPOSITORY / "docs" / "operations.md").read_text(encoding="utf-8")
    sections = set(re.findall(r"^### (\w+)$", book.partition("## Alerts")[2], re.MULTILINE))
    found = {r["alert"]: r for g in rules()["groups"] for r in g["rules"]}
    assert sections == set(found)
    for name, rule in found.items():
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{name.lower()}"
        assert f"### {name}\n**{rule['labels']['severity']}.**" in book, name


def rules():
    return yaml.safe_load((INFRA / "prometheus" / "alerts.yaml").read_text(encoding="utf-8"))


def scenarios():
    return yaml.safe_load((INFRA / "prometheus" / "alerts.test.yaml").read_text(encoding="utf-8"))["tests"]
