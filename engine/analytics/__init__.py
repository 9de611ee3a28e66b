"""How trading went: measures, tables and reports, the same on a backtest, on paper and with real money."""
