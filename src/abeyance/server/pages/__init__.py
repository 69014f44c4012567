"""What all pages share: who is there, whether a form is ours, how a page is drawn.

`app` routes and answers every fault with a page; `sessions`, `host` and `guard` say
who is there and whether the request is theirs; `sign_in` lets people in and on to
where they were headed (`destinations`). What the pages are about lies in the areas
beside this folder: `console`, `frontchannel`, `account`, `adminpages`.
"""
