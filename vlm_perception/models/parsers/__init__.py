"""Text of generative models -> places, one pure parser a way of writing.

All follow one rule: what is certain is kept, what is not is reported in words, nothing is invented.
"""
