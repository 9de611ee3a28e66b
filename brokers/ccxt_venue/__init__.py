"""Crypto venues through ccxt: any exchange it supports, verified for binance, kraken and coinbase. Spot only."""
