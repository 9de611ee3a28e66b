"""When stock exchanges trade: tables drawn from the exchange_calendars library, and the library itself for all else."""
