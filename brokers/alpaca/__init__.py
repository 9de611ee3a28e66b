"""The Alpaca venue: US stocks and coins, orders over REST, the account's and the market's streams."""
