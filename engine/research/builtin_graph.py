"""A small graph of well-known ties, for a start; a file of one's own adds to it or replaces it.

The weights are round guesses of ours, not measurements. Tickers are those of the listings: Albemarle is ALB.
"""

from engine.research.event_graph import Edge, edges_of_csv

BUILT_IN = "built in"
NAMES = {
    "apple": "AAPL", "microsoft": "MSFT", "nvidia": "NVDA", "amazon": "AMZN", "tesla": "TSLA", "alphabet": "GOOGL",
    "google": "GOOGL", "meta platforms": "META", "taiwan semiconductor": "TSM", "tsmc": "TSM", "albemarle": "ALB",
    "broadcom": "AVGO", "micron": "MU", "bitcoin": "BTC/USD", "ethereum": "ETH/USD", "ether": "ETH/USD", "solana": "SOL/USD",
    "ripple": "XRP/USD", "cardano": "ADA/USD", "dogecoin": "DOGE/USD",
}
"""What well-known instruments are called, in lower case."""

_EDGES = """from,to,relation,weight,source,valid_from,valid_to
TSM,AAPL,customer,0.5,built in,,
TSM,NVDA,customer,0.6,built in,,
AAPL,TSM,supplier,0.4,built in,,
NVDA,TSM,supplier,0.4,built in,,
NVDA,MU,supplier,0.3,built in,,
MSFT,NVDA,supplier,0.4,built in,,
AMZN,NVDA,supplier,0.3,built in,,
META,NVDA,supplier,0.3,built in,,
GOOGL,NVDA,supplier,0.2,built in,,
AVGO,AAPL,customer,0.3,built in,,
AAPL,AVGO,supplier,0.3,built in,,
ALB,TSLA,customer,0.3,built in,,
TSLA,ALB,supplier,0.3,built in,,
MSFT,AMZN,competitor,0.2,built in,,
AMZN,MSFT,competitor,0.2,built in,,
GOOGL,META,competitor,0.3,built in,,
META,GOOGL,competitor,0.3,built in,,
AAPL,SPY,same_sector,0.2,built in,,
MSFT,SPY,same_sector,0.2,built in,,
NVDA,SPY,same_sector,0.2,built in,,
BTC/USD,ETH/USD,same_sector,0.6,built in,,
BTC/USD,SOL/USD,same_sector,0.6,built in,,
BTC/USD,XRP/USD,same_sector,0.4,built in,,
BTC/USD,ADA/USD,same_sector,0.5,built in,,
BTC/USD,DOGE/USD,same_sector,0.5,built in,,
ETH/USD,BTC/USD,same_sector,0.3,built in,,
ETH/USD,SOL/USD,competitor,0.4,built in,,
SOL/USD,ETH/USD,competitor,0.2,built in,,
"""


def builtin_edges() -> tuple[Edge, ...]:
    """The edges, made anew; there are few."""
    return edges_of_csv(_EDGES, "the built-in graph")
