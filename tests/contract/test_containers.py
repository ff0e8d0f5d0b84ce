"""Images, compose.yaml and the Helm chart: everything about them that can be checked without Docker or a cluster."""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from compose_spec import PyCompose

from cli.roles import MODULES, RoleName
from runtime.settings import PREFIX, UNPREFIXED, Settings
from schemas.topics import topic_specs
from tests.support.compose import filled_in, laid_over, read
from tests.support.prerequisites import REPOSITORY, cache_dir

INFRA = REPOSITORY / "infra"
DOCKERFILE = (INFRA / "docker" / "Dockerfile").read_text(encoding="utf-8")
OMITTED = yaml.safe_load((INFRA / "docker" / "omitted.yaml").read_text(encoding="utf-8"))
FAMILIES = {
    "edge": (RoleName.INGEST, RoleName.EGRESS),
    "workers": (RoleName.FACE_WORKER, RoleName.SPEECH_WORKER),
    "fusion": (RoleName.FUSION,),
}
IMPORTS = {
    "ai-edge-litert": "ai_edge_litert",
    "chdb-core": "chdb",
    "clickhouse-connect": "clickhouse_connect",
    "opencv-contrib-python-headless": "cv2",
}
NOT_OF_A_ROLE = ("training",)
"""Folders of the packages whose modules no role imports."""
NOT_OF_A_FAMILY = {"workers": {"runtime.compiled"}}
"""Modules of shared packages that only other families' roles import."""


def stages():
    """Each stage of the Dockerfile: name, base, instructions."""
    joined = re.sub(r"\\\n", " ", DOCKERFILE)
    parts = re.split(r"^FROM (\S+) AS (\S+)$", joined, flags=re.MULTILINE)[1:]
    return {parts[i + 1]: (parts[i], parts[i + 2].splitlines()) for i in range(0, len(parts), 3)}


def argument(name):
    (value,) = re.findall(rf"^ARG {name}=(\S+)$", DOCKERFILE, re.MULTILINE)
    return value


def instructions(stage):
    """All instructions that make up the stage, those of the stages below it first."""
    found, name = [], stage
    while name in stages():
        base, lines = stages()[name]
        found = [*lines, *found]
        name = base
    return found


@pytest.mark.parametrize("family", ["edge", "workers", "workers-gpu", "fusion", "analytics"])
def test_an_image_runs_as_nobody_says_whether_it_works_and_is_pinned(family):
    lines = instructions(family)
    users = [line for line in lines if line.startswith("USER ")]
    assert users[-1] == "USER 10001:10001"
    assert any(line.startswith("HEALTHCHECK ") for line in lines)
    assert lines.index(users[-1]) > max(i for i, line in enumerate(lines) if line.startswith("RUN "))
    assert not [line for line in lines if line.startswith("ADD ")], "COPY has no surprises"
    copied = [line for line in lines if line.startswith("COPY ") and "--from=" not in line]
    assert copied == [], "final images take what was built, nothing of the context"


def test_bases_are_pinned_to_a_patch_version():
    for name in ("PYTHON_IMAGE", "NODE_IMAGE", "CUDA_IMAGE"):
        _, _, tag = argument(name).partition(":")
        assert re.match(r"\d+\.\d+\.\d+-", tag), tag
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) <= {
        "${PYTHON_IMAGE}", "${NODE_IMAGE}", "${CUDA_IMAGE}", *stages(),
    }  # fmt: skip
    assert "latest" not in DOCKERFILE


def test_python_packages_are_installed_with_their_hashes():
    for line in re.sub(r"\\\n", " ", DOCKERFILE).splitlines():
        for command in re.findall(r"uv pip install [^&]*", line):
            assert "--require-hashes" in command or "--no-deps" in command, command


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_does_without_what_its_image_leaves_out(family):
    """Every module of its packages is imported with those libraries hidden."""
    hidden = sorted({IMPORTS.get(name, name) for name in OMITTED[family]})
    packages = {MODULES[role].split(".")[0] for role in FAMILIES[family]} | {"runtime", "schemas"}
    modules = sorted(
        ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
        for package in packages
        for path in (REPOSITORY / package).rglob("*.py")
        if path.name != "__init__.py" and not set(path.parts) & set(NOT_OF_A_ROLE)
    )
    modules = [name for name in modules if name not in NOT_OF_A_FAMILY.get(family, ())]
    program = (
        "import importlib, importlib.util, json, sys\n"
        "hidden, modules = json.load(sys.stdin)\n"
        "for name in hidden: sys.modules[name] = None\n"
        "for name in ['cli.main', 'cli.roles', *modules]:\n"
        "    try: importlib.import_module(name)\n"
        "    except ModuleNotFoundError as error:\n"
        "        root = error.name.partition('.')[0]\n"
        "        if root in hidden or not name.startswith('inference_workers.'): raise\n"
        # Engines of extras, which no image has unless it is built with them.
        "        assert importlib.util.find_spec(root) is None, error\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], input=json.dumps([hidden, modules]), cwd=REPOSITORY, text=True,
        capture_output=True, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr[-1_500:]


def lock(name):
    text = (INFRA / "docker" / f"{name}.lock").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z0-9._-]+)==", text, re.MULTILINE))


def test_images_have_what_compose_and_the_chart_configure():
    """A Schema Registry, traces, and exactly one onnxruntime."""
    for name, runtime in (("cpu", "onnxruntime"), ("gpu", "onnxruntime-gpu")):
        assert {"authlib", "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"} <= lock(name)
        assert {package for package in lock(name) if package.startswith("onnxruntime")} == {runtime}


def test_what_is_left_out_is_in_the_lock_file_and_can_be_imported_here():
    locked = lock("cpu")
    for family, names in OMITTED.items():
        assert set(names) <= locked, family
        for name in names:
            assert importlib.util.find_spec(IMPORTS.get(name, name)), f"{name}: hiding it would prove nothing"


TLS = "compose.tls.yaml"
NAMES = ("TOKEN_KEY", "CLICKHOUSE_PASSWORD", "GRAFANA_PASSWORD", "KAFKA_PASSWORD", "REDIS_PASSWORD")
SECRETS_OF_COMPOSE = dict.fromkeys(NAMES, "x" * 32)
WAYS = {"plain": read(), "TLS": laid_over(read(), read(TLS))}
OURS = "affectstream-"


@pytest.fixture(params=WAYS)
def compose(request):
    """compose.yaml, and with compose.tls.yaml over it."""
    return WAYS[request.param]


def of_ours(compose):
    """The services whose images are ours."""
    return {name: each for name, each in compose["services"].items() if each["image"].startswith(OURS)}


def test_compose_is_what_its_specification_says(compose):
    # Merge keys are resolved before: they are YAML's affair.
    known = PyCompose.from_yaml(yaml.safe_dump(compose)).to_spec()
    assert known.services


def test_compose_runs_every_role_and_pins_every_image(compose):
    services = compose["services"]
    commands = {tuple(service.get("command") or ()) for service in services.values()}
    assert {(role.value,) for role in RoleName} <= commands
    for name, service in services.items():
        assert re.search(r":v?\d+\.\d+\.\d+", service["image"]), name
        assert not service.get("privileged"), name
    for service in of_ours(compose).values():
        build = service["build"]
        assert (INFRA / build["context"] / build["dockerfile"]).exists()
        assert build["target"] in stages()
        assert service["image"] == f"{OURS}{build['target']}:0.1.0"


@pytest.mark.parametrize("name", ["compose.yaml", TLS])
def test_compose_mounts_what_is_there_and_names_secrets_that_its_example_has(name):
    for service in read(name)["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            made = source.startswith("./tls/")  # by the operator
            assert made or source in read().get("volumes", {}) or (INFRA / source).exists(), volume
    text = (INFRA / name).read_text(encoding="utf-8")
    example = (INFRA / "compose.env.example").read_text(encoding="utf-8")
    for variable in re.findall(r"\$\{([A-Z_]+)", text):
        assert f"{variable}=" in example, variable
    assert re.findall(r"=\S", "\n".join(line for line in example.splitlines() if not line.startswith("#"))) == []


def test_compose_gives_every_role_settings_that_it_takes_and_lets_nobody_in_without_a_token(compose):
    for name, service in of_ours(compose).items():
        environ = filled_in(service["environment"], SECRETS_OF_COMPOSE)
        unknown = [key for key in environ if not key.startswith(PREFIX) and key not in {*UNPREFIXED, "SSL_CERT_FILE"}]
        assert unknown == [], name
        settings = Settings.from_env(environ)
        assert not settings.open_sessions, name
        assert settings.partitions == 12, name


def test_with_tls_nothing_speaks_in_the_clear_and_everybody_shows_a_password():
    compose = WAYS["TLS"]
    for name, service in of_ours(compose).items():
        settings = Settings.from_env(filled_in(service["environment"], SECRETS_OF_COMPOSE))
        assert settings.tls_certificate, name
        assert (settings.kafka_security_protocol, settings.kafka_ca) == (
            "SASL_SSL",
            settings.tls_certificate[:-10] + "ca.pem",
        )
        assert settings.redis_url.startswith("rediss://affectstream:"), name
        assert settings.clickhouse_dsn.startswith("clickhouses://affectstream:"), name
        assert settings.schema_registry_url == "", name
        assert all(
            url.startswith("https://")
            for url in (settings.public_ingest_url, settings.public_egress_url, settings.public_analytics_url)
        )
        mounted = {volume.split(":")[1] for volume in service["volumes"]}
        assert {settings.tls_certificate, settings.tls_key, settings.kafka_ca} <= mounted, name
    published = {name for name, service in compose["services"].items() if service.get("ports")}
    assert published == {"ingest", "haproxy", "analytics", "grafana"}
    assert compose["services"]["grafana"]["environment"]["GF_SERVER_PROTOCOL"] == "https"
    assert "ssl crt" in compose["services"]["haproxy"]["environment"]["BIND_OPTIONS"]
    assert compose["services"]["schema-registry"]["profiles"]


def test_no_image_gets_the_secrets_of_the_machine_that_builds_it():
    left_out = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {"infra/.env", "infra/tls"} <= set(left_out)


def test_compose_and_haproxy_agree_on_the_number_of_partitions():
    services = read()["services"]
    assert (
        services["haproxy"]["environment"]["PARTITIONS"]
        == services["egress-1"]["environment"]["AFFECTSTREAM_PARTITIONS"]
    )


def tool(name):
    """A tool that checks the chart; tests are skipped everywhere without it, for building it takes minutes."""
    found = cache_dir() / "tools" / name
    path = str(found) if found.exists() else shutil.which(name)
    if path is None:
        pytest.skip(f"OPTIONAL TOOL: {name} is not here: make chart-tools")
    return path


CHART = INFRA / "helm" / "affectstream"
# The version that the schemas are of: helm, built as a Go module is, takes a cluster that is not there for one of 1.20.
(VERSION,) = re.findall(r'^VERSION: Final = "v(.+)"$', (INFRA / "helm" / "schemas.py").read_text(), re.MULTILINE)
KUBERNETES = ("--kube-version", VERSION)
SECRETS = (
    "--set", f"secrets.tokenKey={'x' * 32}", "--set", "secrets.clickhouseDsn=clickhouse://u:p@c:8123/a", "--set",
    "secrets.redisUrl=redis://r:6379/0",
)  # fmt: skip
VARIANTS = {
    "defaults": SECRETS,
    "as small as it goes": (
        *SECRETS, "--set", "keda.enabled=false", "--set", "networkPolicies.enabled=false", "--set",
        "podDisruptionBudgets.enabled=false", "--set", "sharedKeys.nodeAffinity=false",
    ),
    "everything": (
        "--set", "secrets.existing=mine", "--set", "roles.face-worker.gpu=1", "--set", "image.registry=r.example/",
        "--set", "schemaRegistryUrl=http://sr:8081", "--set", "mesh.annotations.sidecar\\.istio\\.io/inject=true",
        "--set", "env.AFFECTSTREAM_TRACE_ENDPOINT=http://c:4318/v1/traces", "--set", "fusion.storageClass=fast",
        "--set", "image.pullSecrets[0].name=pull", "--set", "fusion.replicas=5",
    ),
    "TLS and users": (
        *SECRETS, "--set", "kafka.security.protocol=SASL_SSL", "--set", "tls.secret=certificate", "--set",
        "trust.secret=authority", "--set", "secrets.kafkaUsername=u", "--set", "secrets.kafkaPassword=p",
    ),
}  # fmt: skip


def rendered(variant):
    answer = subprocess.run(
        [tool("helm"), "template", "demo", str(CHART), "-n", "affect", *KUBERNETES, *VARIANTS[variant]],
        text=True, capture_output=True, check=False, env={**os.environ, "HELM_CACHE_HOME": "/tmp"},
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_the_chart_has_nothing_that_helm_would_warn_of():
    answer = subprocess.run(
        [tool("helm"), "lint", "--strict", str(CHART), *KUBERNETES, *SECRETS],
        text=True,
        capture_output=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_the_chart_makes_is_what_kubernetes_and_keda_take(variant):
    schemas = cache_dir() / "tools" / "kubernetes-schemas"
    if not schemas.exists():
        pytest.skip("OPTIONAL TOOL: the schemas of Kubernetes are not here: make chart-tools")
    answer = subprocess.run(
        [tool("kubeconform"), "-strict", "-summary", "-schema-location",
         str(schemas) + "/{{.ResourceKind}}{{.KindSuffix}}.json"],
        input=rendered(variant), text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "Skipped: 0" in answer.stdout


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_pod_of_the_chart_is_as_confined_as_the_images_allow(variant):
    pods = [
        (each["metadata"]["name"], each["spec"]["template"])
        for each in yaml.safe_load_all(rendered(variant))
        if each and each["kind"] in {"Deployment", "StatefulSet", "Job"}
    ]
    assert len(pods) == 8
    for name, pod in pods:
        assert pod["spec"]["securityContext"]["runAsNonRoot"], name
        assert pod["spec"]["automountServiceAccountToken"] is False, name
        for container in pod["spec"]["containers"]:
            confined = container["securityContext"]
            assert confined["readOnlyRootFilesystem"], name
            assert confined["allowPrivilegeEscalation"] is False, name
            assert confined["capabilities"] == {"drop": ["ALL"]}, name
            assert "memory" in container["resources"]["limits"], name
            assert not container["image"].endswith(":latest"), name


def test_the_chart_s_fusion_replicas_take_every_partition_once():
    """The shell arithmetic of the StatefulSet, run by a shell for each replica."""
    (fusion,) = [each for each in yaml.safe_load_all(rendered("everything")) if each and each["kind"] == "StatefulSet"]
    shell = fusion["spec"]["template"]["spec"]["containers"][0]["command"]
    script = shell[-1].replace("exec affectstream run fusion --partitions", "echo")
    taken = []
    for replica in range(fusion["spec"]["replicas"]):
        said = subprocess.run(
            [*shell[:-1], script],
            env={"HOSTNAME": f"demo-fusion-{replica}"},
            capture_output=True,
            text=True,
            check=True,
        )
        first, _, last = said.stdout.strip().partition("-")
        taken += range(int(first), int(last) + 1)
    assert taken == list(range(12))


def test_the_chart_scales_workers_by_their_own_topics():
    scaled = [each for each in yaml.safe_load_all(rendered("defaults")) if each and each["kind"] == "ScaledObject"]
    lag = {
        each["metadata"]["name"]: trigger["metadata"]
        for each in scaled
        for trigger in each["spec"]["triggers"]
        if trigger["type"] == "kafka"
    }
    assert {name: meta["topic"] for name, meta in lag.items()} == {
        "demo-face-worker": "media.video",
        "demo-speech-worker": "media.audio",
    }
    assert {meta["topic"] for meta in lag.values()} <= set(topic_specs())
    assert {each["spec"]["scaleTargetRef"]["name"] for each in scaled} == {
        "demo-ingest", "demo-egress", "demo-face-worker", "demo-speech-worker",
    }  # fmt: skip


def test_the_chart_carries_the_configuration_that_is_tested_with_haproxy():
    made = {
        each["metadata"]["name"]: each
        for each in yaml.safe_load_all(rendered("defaults"))
        if each and each["kind"] == "ConfigMap"
    }
    data = made["demo-haproxy"]["data"]
    for name in ("haproxy.cfg", "partition.lua"):
        assert data[name].strip() == (INFRA / "haproxy" / name).read_text(encoding="utf-8").strip()
    assert Path(CHART / "haproxy").resolve() == (INFRA / "haproxy").resolve()


def containers(variant):
    """Every container of the chart by its own name, with the environment and ConfigMap that it is given."""
    made = [each for each in yaml.safe_load_all(rendered(variant)) if each]
    settings = {each["metadata"]["name"]: each["data"] for each in made if each["kind"] == "ConfigMap"}
    for each in made:
        if each["kind"] in {"Deployment", "StatefulSet", "Job"}:
            for container in each["spec"]["template"]["spec"]["containers"]:
                environ = {}
                for source in container.get("envFrom", []):
                    environ |= settings[source["configMapRef"]["name"]]
                environ |= {
                    each["name"]: each.get("value", "x" * 32 if "KEY" in each["name"] else "given")
                    for each in container.get("env", [])
                }
                yield container, environ, each["spec"]["template"]["spec"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_chart_gives_every_role_settings_that_it_takes_and_lets_nobody_in_without_a_token(variant):
    for container, environ, _ in containers(variant):
        if container["name"] != "haproxy":
            settings = Settings.from_env(environ)
            assert not settings.open_sessions, container["name"]
            assert settings.partitions == 12, container["name"]


def test_with_tls_every_pod_has_the_files_that_its_settings_name_and_is_asked_over_tls():
    for container, environ, pod in containers("TLS and users"):
        secrets = {
            volume["name"]: {
                item["path"] for item in volume["secret"].get("items", [{"path": "tls.crt"}, {"path": "tls.key"}])
            }
            for volume in pod["volumes"]
            if "secret" in volume
        }
        files = {
            f"{mount['mountPath']}/{file}"
            for mount in container["volumeMounts"]
            for file in secrets.get(mount["name"], ())
        }
        if container["name"] == "haproxy":
            assert files == {f"/etc/affectstream-tls/{name}" for name in ("tls.crt", "tls.crt.key", "ca.crt")}
            assert "ssl crt /etc/affectstream-tls/tls.crt" in environ["BIND_OPTIONS"]
            continue
        settings = Settings.from_env(environ)
        assert {settings.tls_certificate, settings.tls_key, settings.kafka_ca} <= files, container["name"]
        assert (settings.kafka_security_protocol, settings.kafka_username) == ("SASL_SSL", "given")
        for probe in ("startupProbe", "livenessProbe"):
            assert container["name"] == "topics" or container[probe]["httpGet"]["scheme"] == "HTTPS"
    made = [each for each in yaml.safe_load_all(rendered("TLS and users")) if each]
    (asked,) = [each for each in made if each["kind"] == "TriggerAuthentication"]
    kafka = [
        t for each in made if each["kind"] == "ScaledObject" for t in each["spec"]["triggers"] if t["type"] == "kafka"
    ]
    assert {(t["authenticationRef"]["name"], t["metadata"]["sasl"], t["metadata"]["tls"]) for t in kafka} == {
        (asked["metadata"]["name"], "scram_sha512", "enable")
    }
    (haproxy,) = [
        each["data"] for each in made if each["metadata"]["name"] == "demo-haproxy" and each["kind"] == "ConfigMap"
    ]
    assert "ssl verify required ca-file /etc/affectstream-tls/ca.crt verifyhost affectstream" in haproxy["servers.cfg"]


def test_the_chart_refuses_several_edges_that_share_nothing():
    answer = subprocess.run(
        [tool("helm"), "template", "demo", str(CHART), *KUBERNETES, *SECRETS[:4]],
        text=True,
        capture_output=True,
        check=False,
    )
    assert answer.returncode != 0
    assert "secrets.redisUrl" in answer.stderr
