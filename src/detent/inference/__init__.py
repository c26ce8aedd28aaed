"""Serving: the Open Inference Protocol (version 2) over HTTP and gRPC, on the runtime.

A *tensor* is one named input or output of a request, with a datatype and a shape. The *engine*
answers a request whatever it came by: it finds the deployment, checks the tensors against the
signature of the version that answers, and asks the model, on the event loop when that takes
microseconds and in a thread otherwise. A *worker* is one process that does so; a supervisor
starts them again when they die. Observers are told of every answer.
"""
