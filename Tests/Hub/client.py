"""Uses the real `huggingface_hub` on a cache or a hub, as the environment says (HF_HOME, HF_ENDPOINT, HF_HUB_OFFLINE).

client.py snapshot REPO [PATTERN…]   prints the snapshot's folder; downloads unless HF_HUB_OFFLINE is set
client.py files REPO NAME…           prints each file's path; only what is in the cache
client.py absent REPO NAME…          prints "absent" for each file of which the cache knows that it does not exist
client.py scan                       prints the cache's models: name, commits, number of files, bytes; and warnings
"""

import json
import sys

import huggingface_hub


def main(command, *arguments):
    if command == "snapshot":
        repository, *patterns = arguments
        print(huggingface_hub.snapshot_download(repository, allow_patterns=patterns or None))
    elif command == "files":
        for name in arguments[1:]:
            print(huggingface_hub.hf_hub_download(arguments[0], name, local_files_only=True))
    elif command == "absent":
        for name in arguments[1:]:
            found = huggingface_hub.try_to_load_from_cache(arguments[0], name)
            print("absent" if found is huggingface_hub.file_download._CACHED_NO_EXIST else found)
    elif command == "scan":
        cache = huggingface_hub.scan_cache_dir()
        for model in cache.repos:
            commits = sorted(revision.commit_hash for revision in model.revisions)
            print(json.dumps([model.repo_id, commits, model.nb_files, model.size_on_disk]))
        for warning in cache.warnings:
            print(json.dumps(["warning", str(warning)]))


main(*sys.argv[1:])
