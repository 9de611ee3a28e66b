"""Health and metrics over HTTP, in the configuration file."""

import ipaddress

from pydantic import Field, field_validator

from engine.config_limits import Section


class HealthConfig(Section):
    """Health and metrics of the unattended engine over HTTP: /health, /metrics. Nothing of it says what is held or worth."""

    host: str = Field(
        default="127.0.0.1", description="The address on which it listens; one that is not of this machine alone is for a "
        "network in which everybody may read it.")
    port: int = Field(default=9464, ge=0, le=65_535, description="The port (0: nothing listens).")

    @field_validator("host")
    @classmethod
    def _an_address(cls, host: str) -> str:
        try:
            ipaddress.ip_address(host)
        except ValueError as error:
            raise ValueError('must be an address such as "127.0.0.1" or "::1"') from error
        return host
