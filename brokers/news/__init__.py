"""News from outside: feeds, a broker's news, calendars. Everything that comes is data of strangers, bounded before it is read."""
