"""Where things run and which secrets they need: the only reader of the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import platformdirs
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from antiphon.tools.errors import SettingsError


class Settings(BaseSettings):
    """Every `ANTIPHON_*` variable, with the default that needs no server and no key."""

    model_config = SettingsConfigDict(
        env_prefix="ANTIPHON_",
        env_file=None,
        env_ignore_empty=True,  # a variable that is set to nothing is not set
        extra="ignore",
        hide_input_in_errors=True,
    )

    data_dir: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("antiphon", appauthor=False)),
        description="Folder for everything that is written.",
    )
    assistant: Path | None = Field(
        default=None, description="Folder of the assistant; the sample help centre when not set."
    )
    model: str = Field(
        default="",
        description="Model: extractive, local, or provider:name as in init_chat_model.",
    )
    model_url: str = Field(default="", description="Base URL of an OpenAI-compatible server.")
    model_key: SecretStr = Field(default=SecretStr(""), description="Key for the model's provider.")
    gguf: Path | None = Field(default=None, description="GGUF weights for the local model.")
    embedder: str = Field(
        default="",
        description="minilm (English), multilingual (extra), or a sentence-transformers name or "
        "path. Not set: by the assistant's languages.",
    )
    reranker: str = Field(
        default="wording",
        description="wording (no model), none, or a cross-encoder's name or path.",
    )
    weaviate_url: str = Field(
        default="", description="http(s)://host:port of Weaviate; SQLite when not set."
    )
    weaviate_grpc_port: int = Field(default=50051, description="Weaviate's gRPC port.")
    weaviate_key: SecretStr = Field(default=SecretStr(""), description="Weaviate API key.")
    postgres_url: SecretStr = Field(
        default=SecretStr(""), description="PostgreSQL for threads and memory; SQLite when not set."
    )
    redis_url: SecretStr = Field(
        default=SecretStr(""),
        description="Redis for the shared response cache; SQLite when not set.",
    )
    api_keys: SecretStr = Field(
        default=SecretStr(""),
        description="Gateway keys, comma-separated: key=tenant[/user]. None: loopback only.",
    )
    allowed_hosts: str = Field(
        default="",
        description="Host names the gateway answers to, comma-separated; any when not set. "
        "Without keys: this machine's only.",
    )
    studio_origin: str = Field(
        default="",
        description="Origin of the one page that may call a keyless LangGraph server from a "
        "browser, such as https://smith.langchain.com for Studio.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="error", description="Least severe log line written to standard error."
    )
    log_format: Literal["console", "json"] = Field(default="console", description="Log line form.")
    hash_key: SecretStr = Field(
        default=SecretStr(""),
        description="Key of the text hashes in logs; made once in the data folder when not set.",
    )
    langsmith: bool = Field(
        default=False,
        description="Send traces to LangSmith (needs LANGSMITH_API_KEY); off: nothing leaves.",
    )
    alert_webhook: SecretStr = Field(
        default=SecretStr(""), description="URL that incident notices are posted to."
    )

    @field_validator("model_url", "weaviate_url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        """Refuse what cannot be taken apart here, where no message repeats it."""
        try:
            parts = urlsplit(value)
            _ = (parts.hostname, parts.port)
        except ValueError:
            raise ValueError("not a URL: write http(s)://host:port") from None
        return value


def read_settings() -> Settings:
    """Read the environment.

    Raises:
        SettingsError: naming each variable that is wrong.
    """
    try:
        return Settings()
    except ValidationError as error:
        wrong = [f"ANTIPHON_{e['loc'][0]}".upper() + f": {e['msg']}" for e in error.errors()]
        raise SettingsError(
            "; ".join(wrong), hint="`antiphon doctor` lists every setting and its default."
        ) from error
