# The environment of the book in a container:
#   docker build -t medxai .
#   docker run --rm -it -p 8888:8888 medxai                            # JupyterLab with the chapters
#   docker run --rm -it --gpus all -v /my/images:/data medxai medxai train kvasir-v2 resnet18 --profile full
# PyTorch comes from the package index with CUDA inside, so a graphics card needs only its driver and `--gpus all`.
FROM python:3.12-slim

RUN apt-get update \
    && apt-get install --yes --no-install-recommends git make \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /book
COPY pyproject.toml constraints.txt no-deps.txt README.md LICENSE LICENSE-TEXT ./
COPY medxai_helpers medxai_helpers
RUN python -m pip install --no-cache-dir -c constraints.txt -e ".[all]" \
    && python -m pip install --no-cache-dir --no-deps -r no-deps.txt

COPY . .
RUN useradd --create-home reader \
    && mkdir --parents /data /cache \
    && chown --recursive reader /book /cache
USER reader

ENV MEDXAI_DATA=/data MEDXAI_CACHE=/cache OMP_WAIT_POLICY=PASSIVE NO_ALBUMENTATIONS_UPDATE=1
EXPOSE 8888
CMD ["python", "-m", "jupyter", "lab", "--ip=0.0.0.0", "--no-browser", "notebooks"]
