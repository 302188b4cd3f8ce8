"""Settings, read from the environment when asked for; nothing is read at import."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from geo.files.limits import OPERATOR, Limits


class Settings(BaseSettings):
    """What can be set from outside, all with the prefix ``WANGGE_`` save the database address."""

    model_config = SettingsConfigDict(env_prefix="WANGGE_", populate_by_name=True, extra="ignore")

    project_dir: Path = Field(
        default=Path(__file__).resolve().parent.parent,
        description="Where the program's own data folder `.wangge` lies.",
    )
    database_url: str | None = Field(
        default=None,
        validation_alias="DATABASE_URL",
        description="Address of a PostGIS database; set, nothing is installed or initialised.",
    )
    database_owner_url: str | None = Field(
        default=None,
        validation_alias="DATABASE_OWNER_URL",
        description="Login that owns the tables, for migrations; default: `DATABASE_URL`.",
    )
    backup_dir: Path | None = Field(
        default=None, description="Where backups go; default: `.wangge/backups`."
    )
    pool_size: int = Field(default=8, ge=1, le=200, description="Database connections kept open.")
    requests_at_once: int = Field(
        default=200,
        ge=1,
        le=100_000,
        description="Requests answered at once; more are asked to come again (503).",
    )
    statement_seconds: float = Field(
        default=30.0,
        ge=0.1,
        le=3600,
        description="Longest time of one statement for a request, seconds; loading is exempt.",
    )
    reports_per_hour: int = Field(
        default=60,
        ge=0,
        le=1_000_000,
        description="Reports an hour from one network without an account; 0: no limit.",
    )
    smtp_url: SecretStr | None = Field(
        default=None,
        description="Mail server for messages: smtp://login:password@host:port, or smtps.",
    )
    mail_from: str | None = Field(default=None, description="Address that mails come from.")
    mail_to: str | None = Field(default=None, description="Address that mails go to.")
    webhook_url: str | None = Field(
        default=None, description="Where messages are sent as signed JSON: https, or loopback."
    )
    webhook_secret: SecretStr | None = Field(
        default=None, description="What messages to the webhook are signed with; 16 letters least."
    )
    session_hours: int = Field(default=12, ge=1, le=720, description="Life of a sign-in, hours.")
    secure_cookies: bool = Field(default=False, description="Send cookies over TLS alone.")
    default_city: str | None = Field(default=None, description="City shown first; short name.")
    default_language: str = Field(default="zh", pattern="^(zh|en)$", description="zh or en.")
    tile_url: str | None = Field(
        default=None,
        description="Raster base map as {z}/{x}/{y} address; default: none.",
    )
    tile_datum: str = Field(
        default="WGS84",
        pattern="^(WGS84|GCJ02)$",
        description="Datum of the raster base map.",
    )
    tile_attribution: str = Field(default="", description="Credit line of the raster base map.")
    hosts: str = Field(
        default="",
        description="Names under which this server is asked besides localhost and addresses,"
        " separated by commas.",
    )
    behind_proxy: bool = Field(
        default=False,
        description="A proxy on this machine ends TLS and names the caller: cookies over TLS alone,"
        " no demo accounts.",
    )
    max_body_kib: int = Field(default=1024, ge=1, description="Largest request that is taken, KiB.")

    import_planner_mib: int = Field(
        default=200, ge=1, le=20_000, description="Largest file that a planner delivers, MiB."
    )
    import_administrator_mib: int = Field(
        default=500,
        ge=1,
        le=20_000,
        description="Largest file that an administrator delivers, MiB.",
    )
    import_unpacked_mib: int = Field(
        default=2048, ge=1, le=100_000, description="Largest delivered file once unpacked, MiB."
    )
    import_rows: int = Field(
        default=500_000, ge=1, description="Most rows that a delivered file may have."
    )
    import_memory_mib: int = Field(
        default=2048, ge=256, description="Memory that reading a delivered file may take, MiB."
    )
    import_look_s: int = Field(
        default=25, ge=1, le=600, description="Time for telling what a delivered file is, seconds."
    )
    import_read_s: int = Field(
        default=300, ge=1, le=7200, description="Time for reading a delivered file, seconds."
    )
    operator_memory_mib: int = Field(
        default=3072, ge=256, description="The same on the command line: memory, MiB."
    )
    operator_rows: int = Field(
        default=20_000_000, ge=1, description="The same on the command line: rows."
    )
    operator_read_s: int = Field(
        default=7200, ge=1, description="The same on the command line: time for reading, seconds."
    )
    import_open_files: int = Field(
        default=30, ge=1, description="Delivered files of a city that may wait to be imported."
    )
    import_hour_files: int = Field(
        default=60, ge=1, description="Files that one account may deliver in an hour."
    )
    import_keep_days: int = Field(
        default=7, ge=1, le=365, description="Days until a file that waits is deleted."
    )
    import_undo_days: int = Field(
        default=30, ge=1, le=3650, description="Days in which an import can be undone."
    )

    @property
    def import_dir(self) -> Path:
        """Where delivered files lie until they are imported."""
        return self.project_dir / ".wangge" / "deliveries"

    @property
    def import_limits(self) -> Limits:
        """What reading a file may cost that came from the web."""
        return Limits(
            file_mib=max(self.import_planner_mib, self.import_administrator_mib),
            unpacked_mib=self.import_unpacked_mib,
            features=self.import_rows,
            memory_mib=self.import_memory_mib,
            understand_s=self.import_look_s,
            read_s=self.import_read_s,
        )

    @property
    def operator_limits(self) -> Limits:
        """What reading a file may cost on the command line."""
        return replace(
            OPERATOR,
            features=self.operator_rows,
            memory_mib=self.operator_memory_mib,
            read_s=self.operator_read_s,
        )

    @property
    def host_names(self) -> tuple[str, ...]:
        """`hosts` one by one, in small letters."""
        return tuple(name.strip().lower() for name in self.hosts.split(",") if name.strip())
