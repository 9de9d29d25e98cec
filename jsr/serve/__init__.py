"""The page of `jsr serve`: pictures and clips upscaled in a browser on this machine, and runs watched as they train.

`server` binds to 127.0.0.1 and ends tidily; `guard` lets in the browser that has the token; `app` has the addresses;
`uploads` keeps what was dropped, by id; `work` is the queue; `offers` lists models; `views` makes files for the screen;
`runs` reads the folders of runs. Templates, scripts and styles are files: nothing is built, and nothing is fetched from
elsewhere. Needs the extra `web`.
"""
