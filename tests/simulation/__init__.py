"""The whole engine on a virtual clock, against a venue that loses, delays, doubles, reorders and forgets, with crashes."""
