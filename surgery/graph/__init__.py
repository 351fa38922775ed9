"""The bridge between ONNX protobufs and onnx-graphsurgeon graphs, which loses nothing, and edits on graphs."""
