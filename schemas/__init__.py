"""The contracts: Avro schemas, topics, vocabulary, codecs. Imports nothing else of the product."""
