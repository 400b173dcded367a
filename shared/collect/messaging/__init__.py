"""RabbitMQ: one table of exchanges and queues, typed messages, a publisher, a consumer."""
