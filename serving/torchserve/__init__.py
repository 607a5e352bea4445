"""The models on TorchServe, for those who have one running and want to keep it. **Do not start with it.**

TorchServe was archived upstream in August 2025: what is found in it, security holes included, stays as it is. Designs are served
by ``python -m serving``, KServe's model server, which searches and simulates as well; TorchServe gives what one network says. So
all of this is kept apart: no image, no manifest and no part of the pipeline knows of it, and its packages have a lock of their
own, ``locks/torchserve.lock``.

    python -m training export-torchscript --bundle runs/latest/bundle    # artifacts/torchscript: the bundle's models, traced
    python -m serving.torchserve archive --store artifacts/model-store   # of each an archive, NAME.mar
    python -m ts.model_server --foreground --model-store artifacts/model-store --ts-config serving/torchserve/config.properties

Three models, each under ``POST /predictions/NAME``: ``topology_generator``, ``sizing_denoiser``, ``surrogate``. Requests and
answers are JSON, see `serving.torchserve.handler`. A request needs a token, which TorchServe writes into ``key_file.json`` where
it is started; it listens on loopback alone.

**Ask for a prediction to know whether it is well.** ``/ping`` says Healthy for five minutes while no worker lives. A request that
must be answered lies beside the traced models: ``artifacts/torchscript/NAME.request.json``. docs/torchserve.md says the rest.
"""
