"""A second client of RabbitMQ, which has nothing to do with the one under test.

rabbitmq_client.py PORT declare            makes the queues of the tests
rabbitmq_client.py PORT read QUEUE         every message of a queue, a line of JSON each; they stay there
"""

import json
import sys

import pika

port, command, *rest = sys.argv[1:]
connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", int(port)))
channel = connection.channel()
if command == "declare":
    full = {"x-max-length": 1, "x-overflow": "reject-publish"}
    for name, limits in [("events", {}), ("large", {}), ("full", full)]:
        channel.queue_declare(name, durable=True, arguments=limits)
    channel.basic_publish("", "full", b"{}")
else:
    while True:
        method, properties, body = channel.basic_get(rest[0])
        if method is None:
            break
        print(json.dumps({
            "id": properties.message_id,
            "type": properties.type,
            "content_type": properties.content_type,
            "timestamp": properties.timestamp,
            "delivery_mode": properties.delivery_mode,
            "body": body.decode(),
        }))
# What was not acknowledged goes back to its queue.
connection.close()
