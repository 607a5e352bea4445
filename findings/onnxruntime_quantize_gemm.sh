#!/bin/sh
# Dynamic quantization of a valid model fails where the shape of a transposed weight is written down
#
# Software: onnx 1.23.2, onnxruntime 1.31.1
# Guess:    a model that passes onnx.checker with full_check can be given to quantize_dynamic. PyTorch's exporter lists the
#           shapes of weights in value_info, as the format allows.
# Instead:  quantize_dynamic transposes the weight of a Gemm with transB, keeps the old shape in value_info, and fails on
#           its own result.
# Seen:     InferenceError: [ShapeInferenceError] Inferred shape and existing shape differ in dimension 0: (8) vs (16)
# Remedy:   del model.graph.value_info[:] before quantizing.
. "$(dirname "$0")/prelude"
packages onnx==1.23.2 onnxruntime==1.31.1 numpy==2.4.6

python - > log 2>messages <<'END'
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.shape_inference import InferenceError
from onnxruntime.quantization import quantize_dynamic


def fails(value_info):
    weight = numpy_helper.from_array(np.ones((16, 8), np.float32), "weight")
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size]) for name, size in (("x", 8), ("y", 16))]
    node = helper.make_node("Gemm", ["x", "weight"], ["y"], transB=1)
    graph = helper.make_graph([node], "layer", ends[:1], ends[1:], [weight], value_info=value_info)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    try:
        quantize_dynamic(model, "quantized.onnx")
    except InferenceError as error:
        return int("(8) vs (16)" in str(error))
    return 0


print("without =", fails([]))
print("with =", fails([helper.make_tensor_value_info("weight", TensorProto.FLOAT, [16, 8])]))
END
expect "fails without the weight's shape" "$(value without log)" 0 0
expect "fails with it" "$(value with log)" 1 1
