"""A live session: what a paper session keeps, around Binance's adapters."""
