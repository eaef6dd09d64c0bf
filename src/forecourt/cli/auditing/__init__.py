"""What ``forecourt audit`` is made of: whom it asks about, and how it shows what it finds.

people     the identities of an opened solution
text       for a terminal
document   JSON, and the baselines read from it
sarif      for code scanning
page       a page to read and to print
"""
