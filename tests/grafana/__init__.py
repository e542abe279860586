"""A stand-in for Grafana 12.3 that answers as the real one was seen to answer, and what is tested against it and against a real one."""
