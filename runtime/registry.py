"""The framing that the settings ask for: single-object encoding, or Confluent's with a Schema Registry."""

from typing import Any

from runtime.errors import PrerequisiteError, SettingsError
from runtime.settings import Settings
from schemas.codec import Codec, Confluent, SingleObject
from schemas.topics import topic_specs


def codec(settings: Settings) -> Codec:
    """The codec of this deployment. With ``SCHEMA_REGISTRY_URL`` set, schemas are registered at first use."""
    if not settings.schema_registry_url:
        return Codec(SingleObject())
    return Codec(_confluent(settings))


def _confluent(settings: Settings) -> Confluent:
    try:
        from confluent_kafka.schema_registry import Schema, SchemaRegistryClient  # noqa: PLC0415 - an extra
        from confluent_kafka.schema_registry.error import SchemaRegistryError  # noqa: PLC0415
    except ImportError as error:
        msg = "SCHEMA_REGISTRY_URL is set, but its client is not installed: pip install 'affectstream[registry]'"
        raise PrerequisiteError(msg) from error
    client = SchemaRegistryClient({"url": settings.schema_registry_url})
    subjects: dict[str, list[str]] = {}
    for spec in topic_specs().values():
        subjects.setdefault(spec.schema, []).append(f"{settings.topic_prefix}{spec.name}-value")

    def failed(doing: str, error: Exception) -> SettingsError:
        return SettingsError(f"Schema Registry at {settings.schema_registry_url}: {doing}: {error}")

    def register(name: str, text: str) -> int:
        """Register under every subject of the schema's topics (TopicNameStrategy); the registry gives one id."""
        schema: Any = Schema(text, "AVRO")
        try:
            return max(int(client.register_schema(subject, schema)) for subject in subjects[name])
        except (SchemaRegistryError, OSError) as error:
            raise failed(f"cannot register {name}", error) from error

    def lookup(schema_id: int) -> str:
        try:
            return str(client.get_schema(schema_id).schema_str)
        except (SchemaRegistryError, OSError) as error:
            raise failed(f"cannot read schema {schema_id}", error) from error

    return Confluent(register, lookup)
