#!/bin/sh
# Build the images, or push them to a registry and print the digest under which each is there.
#
#   docker/images.sh build [cpu] [gpu] [serving]          all three by default
#   docker/images.sh push REGISTRY [cpu] [gpu] [serving]  for example registry.example.org/rf
#
# Environment: DOCKER (the engine's command), BASE (image to build on), PIP_CONFIG (a configuration of pip for the build), PYTHON
# (with which the wheel of PyTorch's CPU build is fetched), TORCH_CPU (index or folder that has it), TAG (default: the version).
set -eu
cd "$(dirname "$0")/.."

fail() { echo "images: $1" >&2; exit 3; }

builds() { "$1" buildx version > /dev/null 2>&1 || "$1" --version 2> /dev/null | grep -qE '(Docker version (19|2[0-2])\.|podman|buildah)'; }

# A client without BuildKit cannot mount anything into a build step.
engine() {
    for candidate in ${DOCKER:-docker /usr/bin/docker podman}; do
        command -v "$candidate" > /dev/null 2>&1 && builds "$candidate" && { echo "$candidate"; return; }
    done
    fail "no container engine that can build here; install Docker with its buildx plug-in, or Podman, or name one with DOCKER=..."
}

version() { sed -n 's/^__version__ = "\(.*\)"$/\1/p' genrf/__init__.py; }

name() {
    case $1 in
        cpu) echo "genrf/pipeline-python:$TAG-cpu" ;;
        gpu) echo "genrf/pipeline-python:$TAG" ;;
        serving) echo "genrf/serving:$TAG" ;;
        *) fail "no image $1; there are cpu, gpu, serving" ;;
    esac
}

fetch_torch() {
    pin=$(grep '^torch==' locks/cpu.lock)
    case "${TORCH_CPU:-}" in
        *://*) place="--extra-index-url $TORCH_CPU" ;;
        "") place="" ;;
        *) place="--find-links $TORCH_CPU" ;;
    esac
    # shellcheck disable=SC2086  # two words
    "${PYTHON:-python3}" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.11 \
        --platform manylinux_2_28_x86_64 $place --dest docker/wheels "$pin" \
        || fail "$pin is not to be had here; name an index (URL) or a folder of wheels that has it: make images TORCH_CPU=PLACE"
}

build() {
    name "$1" > /dev/null
    [ "$1" != cpu ] || fetch_torch
    start=$(date +%s)
    DOCKER_BUILDKIT=1 "$docker" build --file docker/Dockerfile --target "$1" --tag "$(name "$1")" --network host \
        --build-arg COMMIT="$(git describe --always --dirty --abbrev=40 --match= 2> /dev/null || echo unknown)" \
        --build-arg VERSION="$(version)" ${BASE:+--build-arg BASE="$BASE"} ${PIP_CONFIG:+--secret id=pip,src="$PIP_CONFIG"} . \
        || fail "$(name "$1") could not be built; the engine says above why"
    bytes=$("$docker" image inspect --format '{{.Size}}' "$(name "$1")")
    echo "$(name "$1"): $((bytes / 1000000)) MB, $(($(date +%s) - start)) s"
}

push() {
    remote="$registry/$(name "$1")"
    "$docker" image inspect "$(name "$1")" > /dev/null 2>&1 || fail "$(name "$1") is not built; make images"
    "$docker" tag "$(name "$1")" "$remote" || fail "$remote is no name of an image; is the registry right?"
    "$docker" push --quiet "$remote" > /dev/null || fail "$remote could not be pushed; is the registry right, and are you logged in?"
    digest=$("$docker" image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$remote" | grep "^${remote%:*}@" | tail -n 1)
    echo "$1 $digest"
}

command=${1:-}
[ "$#" -eq 0 ] || shift
TAG=${TAG:-$(version)}
docker=$(engine) || exit 3
case $command in
    build)
        for target in ${*:-cpu gpu serving}; do build "$target"; done
        ;;
    push)
        registry=${1:?name the registry}
        registry=${registry%/}
        shift
        for target in ${*:-cpu gpu serving}; do push "$target"; done
        ;;
    *)
        sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p;}' "$0"
        exit 2
        ;;
esac
