from client.places import Places


def test_one_place_stays():
    places = Places("ws://a:1/v1/sessions/x/media")
    assert not places.several
    places.failed()
    assert places.url == "ws://a:1/v1/sessions/x/media"


def test_the_next_one_has_the_same_path_and_a_socket_s_scheme():
    places = Places("ws://a:1/v1/x", ["http://a:1", "https://b/", "http://c:2/edge"])
    seen = []
    for _ in range(4):
        seen.append(places.url)
        places.failed()
    assert seen == ["ws://a:1/v1/x", "wss://b/v1/x", "ws://c:2/edge/v1/x", "ws://a:1/v1/x"]
    assert places.several
