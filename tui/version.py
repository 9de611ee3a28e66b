"""The program's version, as pyproject.toml has it: reading the installed metadata would cost each start 40 ms."""

VERSION = "0.1.0"
