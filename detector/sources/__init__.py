"""Where raw records come from (Kafka, files, memory) and how ROUTE's results go back in one transaction.

contract.py says what a source and a sink promise; kafka.py, files.py and memory.py keep it. columnar.py is the one place that
touches private parts of the Kafka client. merge.py puts partitions in order. broker.py starts a real Kafka for development.
"""
