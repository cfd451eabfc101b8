"""The widget layer without a browser: what the kernel holds, which frames go out, when threads end, what is refused."""

import base64
import subprocess
import sys
import threading
import time
import zlib
from types import SimpleNamespace

import numpy as np
import pytest

import mlphys as mp
from mlphys.exact import kaufman
from mlphys.lab import (
    App,
    Choice,
    Control,
    Disagreement,
    Exercise,
    LatticeView,
    Player,
    Plot,
    Readouts,
    Simulation,
    SimulationPlayer,
    Switch,
    TrainingPlayer,
    band,
    checksum,
    controls,
    line,
    markers,
    measured,
    measured_table,
    palettes,
    theme,
)
from mlphys.lab.frames import Frames
from mlphys.lab.measurement import with_error


def wait_until(condition, seconds=2.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.005)
    return False


def paint(view):
    """What a browser does: answer the newest frame."""
    view._handle_custom_msg({"painted": view.frame}, [])


class TestImport:
    def test_the_package_is_light(self):
        heavy = ("ipywidgets", "anywidget", "plotly", "numba", "torch")
        code = f"import mlphys.lab, sys; print([name for name in {heavy} if name in sys.modules])"
        assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"

    def test_every_name_is_there(self):
        import mlphys.lab

        for name in mlphys.lab.__all__:
            assert getattr(mlphys.lab, name) is not None
        with pytest.raises(AttributeError, match="LatticeView"):
            mlphys.lab.latticeview  # noqa: B018

    def test_scripts_load_nothing_from_elsewhere(self):
        for path in theme.STATIC.glob("*.js"):
            text = path.read_text()
            assert "import " not in text.replace("// ", "") and "http:" not in text and "https:" not in text, path.name


class TestFrames:
    def setup_method(self):
        self.sent = []

    def send(self, number, frame):
        self.sent.append((number, frame))

    def test_only_the_newest_waits(self):
        frames = Frames(self.send, patience=60)
        for frame in range(10):
            frames.offer(frame)
        assert self.sent == [(1, 0)] and frames.pending
        frames.acknowledge(1)
        assert self.sent == [(1, 0), (2, 9)] and not frames.pending

    def test_the_window_bounds_what_is_under_way(self):
        frames = Frames(self.send, patience=60, window=3)
        for frame in range(10):
            frames.offer(frame)
        assert [frame for _, frame in self.sent] == [0, 1, 2]
        frames.acknowledge(2)
        assert [frame for _, frame in self.sent] == [0, 1, 2, 9]

    def test_a_browser_that_vanished_stalls_nothing(self):
        frames = Frames(self.send, patience=0.05)
        frames.offer("a")
        frames.offer("b")
        assert len(self.sent) == 1
        assert wait_until(lambda: len(self.sent) == 2)
        assert self.sent[-1] == (2, "b")

    def test_on_a_slow_way_frames_do_not_queue(self):
        frames, times = Frames(self.send, patience=0.02), []
        frames._send = lambda number, frame: times.append(frames._sent_at)

        def play():
            while len(times) < 6:
                frames.offer("frame")
                time.sleep(0.002)

        player = threading.Thread(target=play)
        player.start()
        player.join()
        gaps = np.diff(times)
        assert np.all(gaps > 0.0199 * 2.0 ** np.arange(5)), gaps  # a slow machine may only make them longer
        frames.acknowledge(3)
        frames.offer("frame")
        assert len(times) == 6, "it is still three frames behind"
        frames.acknowledge(6)
        assert len(times) == 7 and frames._wait == frames.patience

    def test_frames_of_a_cell_go_on_at_one_pace(self):
        frames = Frames(self.send, patience=0.02)
        for k in range(8):
            frames.offer(k)
            assert wait_until(lambda: not frames.pending)
        assert frames._wait == frames.patience

    def test_stale_and_invented_acknowledgements_do_no_harm(self):
        frames = Frames(self.send, patience=60)
        frames.offer("a")
        frames.acknowledge(99)
        assert frames.acknowledged == 1
        frames.offer("b")
        frames.acknowledge(1)
        frames.offer("c")
        assert [frame for _, frame in self.sent] == ["a", "b"]

    def test_many_threads_lose_no_last_frame(self):
        frames = Frames(self.send, patience=0.02)

        def offer(k):
            for i in range(50):
                frames.offer((k, i))

        threads = [threading.Thread(target=offer, args=(k,)) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wait_until(lambda: not frames.pending)
        assert self.sent[-1][1][1] == 49
        assert [number for number, _ in self.sent] == list(range(1, len(self.sent) + 1))


class TestLatticeView:
    def test_picture_for_a_page_without_a_kernel(self):
        view = LatticeView(np.array([[1, -1], [-1, -1], [1, 1]]), caption="up & down", size=300)
        markup = view._repr_mimebundle_()[0]["text/html"]
        picture = base64.b64decode(markup.partition("base64,")[2].partition('"')[0])
        at = picture.index(b"IDAT")
        lines = zlib.decompress(picture[at + 4 : at + 4 + int.from_bytes(picture[at - 4 : at])])
        assert [line[1:] for line in (lines[:3], lines[3:6], lines[6:])] == [b"\1\0", b"\0\0", b"\1\1"]
        assert b"PLTE" + bytes.fromhex(theme.SPIN_DOWN[1:] + theme.SPIN_UP[1:]) in picture
        assert "up &amp; down" in markup and "min(100%,200px)" in markup

    def test_spins_and_indices(self):
        spins = np.array([[1, -1, 1], [-1, -1, 1]])
        for kind in (np.int8, np.int64, np.float32):
            assert LatticeView(spins.astype(kind)).array().tolist() == [[1, 0, 1], [0, 0, 1]]
        states = np.arange(6, dtype=np.uint8).reshape(2, 3)
        assert LatticeView(states, palette=theme.CATEGORIES).array().tolist() == states.tolist()

    def test_torch_tensors(self):
        torch = pytest.importorskip("torch")
        assert LatticeView(torch.tensor([[1, -1]], dtype=torch.int8)).array().tolist() == [[1, 0]]

    def test_the_state_is_a_copy(self):
        x = np.ones((4, 4), np.int8)
        view = LatticeView(x)
        x[:] = -1
        assert view.array().all()

    def test_what_the_kernel_holds_is_in_the_synced_state(self):
        view = LatticeView(rows=4)
        view.show(-np.eye(4, dtype=np.int8) * 2 + 1)
        state = view.get_state()
        assert bytes(state["pixels"]) == view.pixels == (1 - np.eye(4, dtype=np.uint8)).tobytes()
        assert view.checksum() == checksum(view.pixels)

    def test_frames_wait_for_the_browser_and_the_last_one_arrives(self):
        view = LatticeView(rows=8)
        view._frames.patience = 60
        rng = np.random.default_rng(0)
        pictures = [rng.choice(np.array([-1, 1], np.int8), (8, 8)) for _ in range(20)]
        for x in pictures:
            view.show(x)
        assert view.frame == view.window
        paint(view)
        assert view.frame == view.window + 1 and view.acknowledged == view.window
        assert (view.array() == (pictures[-1] + 1) // 2).all()

    def test_show_works_from_a_thread_and_changes_the_shape(self):
        view = LatticeView(rows=4)
        thread = threading.Thread(target=view.show, args=(np.ones((2, 6), np.int8),))
        thread.start()
        thread.join()
        assert (view.rows, view.columns) == (2, 6)

    def test_angles_take_their_colour_from_the_wheel(self):
        view = LatticeView(rows=4, marked=("vortex", "antivortex"))
        angles = np.array([[0.0, np.pi / 2, np.pi], [-np.pi / 2, 2 * np.pi + 0.1, -20 * np.pi + 0.1]])
        view.show(angles, scale="wheel", marks=[[0, 1, 0], [-1, 0, 0]])
        assert view.array().tolist() == [[0, 64, 128], [192, 4, 4]]
        assert len(view.palette) == 256 and view.legend == {"kind": "wheel", "marked": ["vortex", "antivortex"]}
        assert np.frombuffer(view.get_state()["marks"], "<u4").tolist() == [2 * 1 + 1, 2 * 3]

    def test_real_numbers_take_theirs_from_a_scale_and_spins_from_the_palette_again(self):
        view = LatticeView(np.array([[-9.0, -2.0, 0.0, 1.999, 9.0]]), scale=(-2, 2))
        assert view.array().tolist() == [[0, 0, 128, 255, 255]]
        assert view.legend == {"kind": "bar", "low": -2, "high": 2} and view.marks == b""
        view.show(np.array([[1, -1]]))
        assert view.array().tolist() == [[1, 0]] and view.palette == list(theme.SPINS) and view.legend == {}

    def test_every_eighth_of_a_turn_looks_different_with_any_colour_vision(self):
        """Simulated dichromats (Machado, Oliveira, Fernandes 2009, 10.1109/TVCG.2009.113), distances in OKLab."""
        coded = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in palettes.wheel()]) / 255
        linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
        protan = [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
        deutan = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
        tritan = [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
        step = np.abs(np.subtract.outer(np.arange(256), np.arange(256)))
        apart = np.minimum(step, 256 - step) >= 32
        for vision in (np.eye(3), *map(np.array, (protan, deutan, tritan))):
            cones = np.clip(linear @ vision.T, 0, 1) @ np.linalg.inv(palettes._FROM_CONES).T
            seen = np.cbrt(cones) @ np.linalg.inv(palettes._FROM_OKLAB).T
            distance = np.linalg.norm(seen[:, None] - seen, axis=2)
            assert distance[apart].min() > 0.1, "five times what is just noticeable"
            if np.array_equal(vision, np.eye(3)):
                # Eight steps on: single ones are blurred by the rounding to bytes.
                around = distance[np.arange(256), (np.arange(256) + 8) % 256]
                assert around.max() / around.min() < 1.15

    @pytest.mark.parametrize(
        ("x", "scale", "message"),
        [
            (np.ones(4), "wheel", "x has shape"),
            (np.full((2, 2), np.nan), "wheel", "not finite"),
            (np.ones((2, 2)), "circle", "scale is 'circle'"),
            (np.ones((2, 2)), (1, 1), "low end"),
        ],
    )
    def test_bad_numbers_are_refused(self, x, scale, message):
        with pytest.raises(ValueError, match=message):
            LatticeView(rows=2).show(x, scale=scale)
        with pytest.raises(ValueError, match="marks has shape"):
            LatticeView(rows=2).show(np.ones((2, 2)), scale="wheel", marks=[1, 0])

    def test_a_frame_costs_less_than_a_millisecond(self):
        view = LatticeView(rows=256)
        x = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (256, 256))
        seconds = []
        for _ in range(50):
            begin = time.thread_time()
            view.show(x)
            seconds.append(time.thread_time() - begin)
            paint(view)
        assert sorted(seconds)[25] < 1e-3

    @pytest.mark.parametrize(
        ("x", "message"),
        [
            (np.ones(4, np.int8), r"x has shape \(4,\)"),
            (np.full((2, 2), 3, np.uint8), "outside the palette"),
            (np.full((2, 2), 5), "outside the palette"),
        ],
    )
    def test_bad_pictures(self, x, message):
        with pytest.raises(ValueError, match=message):
            LatticeView(rows=2).show(x)

    def test_bad_sizes(self):
        with pytest.raises(ValueError, match="rows is 0"):
            LatticeView(rows=0)


class TestPlot:
    def plot(self, *traces, **options):
        return Plot(*(traces or (line([0, 1], [1.0, 2.0], "a"),)), **({"x": "T (J)", "y": "e (J)"} | options))

    def test_arrays_travel_in_binary(self):
        plot = self.plot(line(np.arange(3), np.array([1.5, 2, 3]), "a"))
        packed = plot.get_state()["traces"][0]["y"]
        assert packed["dtype"] == "float64" and packed["shape"] == [3]
        assert np.frombuffer(packed["buffer"]).tolist() == [1.5, 2.0, 3.0]

    @pytest.mark.parametrize(
        ("given", "sent"), [("int64", "float64"), ("bool", "float64"), ("float32", "float32"), ("uint8", "uint8")]
    )
    def test_types_that_a_browser_has(self, given, sent):
        plot = self.plot({"type": "heatmap", "z": np.ones((2, 3), given)})
        packed = plot.get_state()["traces"][0]["z"]
        assert (packed["dtype"], packed["shape"]) == (sent, [2, 3])

    def test_axes_need_titles(self):
        with pytest.raises(ValueError, match="y is ''; it must name the axis and its unit"):
            Plot(line([0], [0], "a"), x="T (J)")

    def test_a_plotly_figure(self):
        graph = pytest.importorskip("plotly.graph_objects")
        figure = graph.Figure(graph.Scatter(x=[1, 2], y=np.array([3.0, 4.0])))
        with pytest.raises(ValueError, match="x is ''"):
            Plot(figure)
        figure.update_layout(xaxis_title="T (J)", yaxis_title="m")
        plot = Plot(figure)
        assert plot.axes["xaxis"]["title"]["text"] == "T (J)" and "template" not in plot.axes
        assert len(str(plot.get_state()["traces"])) < 500
        assert self.plot(graph.Scatter(x=[1], y=[2])).traces[0]["type"] == "scatter"

    def test_updates_are_coalesced(self):
        plot = self.plot()
        plot._frames.patience = 60
        for k in range(5):
            plot.update({0: line([0, 1], [k, k], "a")})
        assert plot.frame == 1
        paint(plot)
        assert plot.frame == 2 and plot.traces[0]["y"].tolist() == [4, 4]

    def test_updates_of_different_traces_add_up(self):
        plot = self.plot(line([0], [0], "a"), line([0], [0], "b"))
        plot._frames.patience = 60
        plot.update({0: line([0], [1], "a")})
        plot.update({0: line([0], [2], "a")})
        plot.update({1: line([0], [3], "b")}, layout={"yaxis": {"range": [0, 1]}}, summary="two lines")
        plot.flush()
        assert [trace["y"][0] for trace in plot.traces] == [2, 3]
        assert plot.axes["yaxis"]["range"] == [0, 1] and plot.axes["yaxis"]["title"]["text"] == "e (J)"
        assert plot.summary == "two lines"

    def test_bad_updates(self):
        plot = self.plot()
        with pytest.raises(ValueError, match="index 3; the plot has traces 0 to 0"):
            plot.update({3: line([0], [0], "a")})
        with pytest.raises(ValueError, match="a trace must be a dict"):
            plot.update("line")
        with pytest.raises(ValueError, match="legend is 'middle'"):
            self.plot(legend="middle")

    def test_bands_and_bars(self):
        area, mean = band([0, 1], [1.0, 2.0], [0.1, 0.2], "a", colour=2)
        assert area["y"].tolist() == [1.1, 2.2, 1.8, 0.9] and area["fillcolor"] == mean["line"]["color"]
        assert markers([0], [1], 0.1)["error_y"]["array"].tolist() == [0.1]
        with pytest.raises(ValueError, match="cannot be negative"):
            markers([0], [1], [-0.1])
        with pytest.raises(ValueError, match="mean has shape"):
            band([0, 1], [1.0], [0.1], "a")

    def test_a_page_without_a_kernel_gets_the_figure(self):
        plot = self.plot(band([0, 1], [1.0, np.nan], [0.1, 0.2], "</script>Wolff"), summary="falls")
        bundle = plot._repr_mimebundle_()[0]
        text = bundle["text/html"]
        assert "application/vnd.jupyter.widget-view+json" in bundle
        assert "falls" in text and theme.PRINT_COLOURS[0] in text and "var(--" not in text and "NaN" not in text
        assert text.count("</script>") == 2 and len(text) < 4000

    def test_plotly_goes_over_the_wire_when_no_server_has_it(self, monkeypatch):
        plot, sent = self.plot(), []
        monkeypatch.setattr(plot, "send", lambda content, buffers=None: sent.append((content, buffers)))
        plot._handle_custom_msg({"want": "plotly"}, [])
        assert sent[0][0] == {"plotly": True} and b"plotly.js" in sent[0][1][0][:200]


class TestControls:
    def make(self):
        return controls(
            temperature=Control(1.5, 3.5, 2.27, step=0.01, unit="J", marks={2.269: "T_c"}),
            sweeps=(1, 100, 10),
            lattice=["64", "128"],
            shared=False,
        )

    def test_values_by_name(self):
        knobs = self.make()
        assert knobs.values() == {"temperature": 2.27, "sweeps": 10, "lattice": "64", "shared": False}
        knobs.temperature = 1.5
        assert knobs.temperature == 1.5 and isinstance(knobs.sweeps, int)

    def test_choices_keep_their_type(self):
        knobs = controls(side=Choice([64, 128], 128))
        knobs.set_state({"side": "64"})
        assert knobs.side == 64 and isinstance(knobs.side, int)

    def test_observe_by_name_and_all(self):
        knobs, seen = self.make(), []
        knobs.observe(lambda change: seen.append((change.name, change.new)), "temperature")
        knobs.observe(lambda change: seen.append("any"))
        knobs.set_state({"temperature": 3.0})
        knobs.shared = True
        assert ("temperature", 3.0) in seen and seen.count("any") == 2
        with pytest.raises(ValueError, match="names holds 'beta'; the controls are temperature"):
            knobs.observe(print, "beta")

    def test_two_sets_do_not_share_values(self):
        first, second = controls(a=(0.0, 1.0, 0.5)), controls(a=(10.0, 20.0, 15.0))
        first.a = 1.0
        assert (first.a, second.a) == (1.0, 15.0)

    @pytest.mark.parametrize(
        ("name", "value", "message"),
        [
            ("temperature", 4.0, "temperature is 4.0; it must be a number from 1.5 to 3.5"),
            ("temperature", "hot", "temperature is 'hot'"),
            ("temperature", float("nan"), "temperature is nan"),
            ("temperature", True, "temperature is True"),
            ("lattice", "63", "lattice is '63'; it must be one of 64, 128"),
            ("shared", 1, "shared is 1; it must be True or False"),
        ],
    )
    def test_values_outside_are_refused(self, name, value, message):
        knobs = self.make()
        before = knobs.values()
        with pytest.raises(ValueError, match=message):
            setattr(knobs, name, value)
        assert knobs.values() == before

    @pytest.mark.parametrize(
        ("specification", "message"),
        [
            ({}, "got no control"),
            ({"a": (2.0, 1.0)}, "low must be below high"),
            ({"a": (0.0, 1.0, 2.0)}, "a is 2.0; it must be a number from 0.0 to 1.0"),
            ({"a": (0.0, 1.0, 0.5, -0.1)}, "a has step -0.1"),
            ({"a": Control(0.0, 1.0, log=True)}, "must start above 0"),
            ({"a": Control(0.0, 1.0, marks={3.0: "x"})}, "a is 3.0"),
            ({"a": (0.0, float("inf"))}, "finite"),
            ({"a": []}, "at least one option"),
            ({"a": ["x", "x"]}, "each once"),
            ({"a": Choice(["x"], "y")}, "a is 'y'"),
            ({"a": Switch(3)}, "a is 3"),
            ({"a": "x"}, "a is 'x'; it must be"),
            ({"layout": True}, "cannot be called 'layout'"),
        ],
    )
    def test_specifications_that_make_no_sense(self, specification, message):
        with pytest.raises(ValueError, match=message):
            controls(**specification)

    def test_steps(self):
        described = {c["name"]: c for c in self.make().specification}
        assert described["temperature"]["step"] == 0.01 and described["temperature"]["unit"] == "J"
        assert described["sweeps"]["step"] == 1 and described["sweeps"]["whole"]
        assert controls(a=(0.0, 2.0)).specification[0]["step"] == 0.01


class TestPlayer:
    def test_it_runs_in_a_thread_and_stops_at_once(self):
        player = Player(lambda: None, rate=200)
        player.start()
        player.start()
        assert wait_until(lambda: player.steps > 5) and player.running
        begin = time.monotonic()
        assert player.stop()
        assert time.monotonic() - begin < 0.5 and not player.running
        steps = player.steps
        time.sleep(0.05)
        assert player.steps == steps
        player.stop()

    def test_stop_does_not_wait_for_a_long_step(self):
        free = threading.Event()
        player = Player(lambda: free.wait(5))
        player.start()
        begin = time.monotonic()
        assert player.stop() is False
        assert time.monotonic() - begin < 1.0
        free.set()
        assert wait_until(lambda: not player._thread.is_alive())
        assert player.steps == 1

    def test_the_rate_is_kept(self):
        player = Player(lambda: None, rate=50, unit="sweeps/s")
        player.start()
        assert wait_until(lambda: player.measured_rate > 0)
        time.sleep(0.3)
        player.stop()
        assert 0 < player.measured_rate < 55 and player.rate_text.endswith("sweeps/s")

    def test_a_step_that_raises_stops_it_and_is_shown(self):
        def step():
            raise RuntimeError("the lattice melted")

        player = Player(step)
        player.start()
        assert wait_until(lambda: not player.running)
        assert player.message.startswith("RuntimeError: the lattice melted (step, line")
        player._step = lambda: None
        player.step_once()
        assert player.message == "" and player.steps == 1

    def test_a_step_with_nothing_left_to_do_stops_it_and_says_so(self):
        work = [3, 2, 1]

        def step():
            if not work:
                raise StopIteration("all three")
            work.pop()

        player = Player(step, rate=200)
        player.start()
        assert wait_until(lambda: not player.running)
        assert (player.steps, player.finished, player.message) == (3, "all three", "")
        player._step = lambda: None
        player.step_once()
        assert player.finished == ""

    def test_the_lock_keeps_steps_out(self):
        player = Player(lambda: None, rate=1000)
        player.start()
        with player.lock:
            steps = player.steps
            time.sleep(0.05)
            assert player.steps == steps
        assert wait_until(lambda: player.steps > steps)
        player.stop()

    def test_the_browser_drives_it(self):
        resets = []
        player = Player(lambda: None, rate=100, reset=lambda: resets.append(1))
        assert player.can_reset
        player._handle_custom_msg({"action": "toggle"}, [])
        assert player.running
        player._handle_custom_msg({"action": "reset"}, [])
        assert player.running and resets == [1]
        player._handle_custom_msg({"action": "step"}, [])
        assert not player.running
        player._handle_custom_msg({"action": "format the disk"}, [])

    def test_it_pauses_when_nobody_looks_and_goes_on_when_somebody_does(self):
        player = Player(lambda: None, rate=200, patience=0.1)
        player._handle_custom_msg({"action": "toggle"}, [])
        assert wait_until(lambda: "nobody is looking" in player.message)
        steps = player.steps
        time.sleep(0.1)
        assert player.steps == steps and player.running
        player.patience = 10
        player._handle_custom_msg({"seen": True}, [])
        assert wait_until(lambda: player.steps > steps) and wait_until(lambda: player.message == "")
        player.stop()

    def test_without_any_browser_it_runs_on(self):
        player = Player(lambda: None, rate=200, patience=0.01)
        player.start()
        time.sleep(0.1)
        assert player.message == ""
        player.stop()

    def test_two_at_once_and_close(self):
        players = [Player(lambda: None, rate=100) for _ in range(2)]
        for player in players:
            player.start()
        assert wait_until(lambda: all(player.steps > 3 for player in players))
        players[0].close()
        steps = players[1].steps
        assert wait_until(lambda: players[1].steps > steps)
        players[1].close()
        assert not any(player._thread.is_alive() for player in players)

    def test_a_process_with_a_running_player_ends(self):
        code = "from mlphys.lab import Player; Player(lambda: None).start()"
        subprocess.run([sys.executable, "-c", code], timeout=20, check=True)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"step": 3}, "step is 3"),
            ({"step": print, "rate": 0}, "rate is 0"),
            ({"step": print, "reset": 3}, "reset is 3"),
        ],
    )
    def test_bad_arguments(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            Player(**arguments)


class TestSimulation:
    def make(self, look=None):
        model = mp.Ising(mp.square(8))

        def both(live):
            return {"m": live.x.mean(), "e": model.measure(live.state, ["energy"])["energy"]}, None

        return Simulation(mp.HeatBath(model), np.ones((8, 8), np.int8), 2.0, 1, look or both)

    def test_it_measures_since_the_last_change(self):
        live = self.make()
        assert live.estimate("m") is None and live.mean("m") is None
        for _ in range(1000):
            live.advance(2)
        assert live.state.sweep == 2000 and live.samples == 1000 and live.recent("m", 7).shape == (7,)
        exact = float(kaufman(8, 8, 2.0).energy)
        assert abs(live.estimate("e").deviation(exact)) < 4
        squared = live.estimate("e", of=lambda e: e**2)
        assert abs(squared.mean - exact**2) < 4 * squared.error
        live.heat(1.0)
        assert live.samples == 0 and live.temperature == 1.0 and live.beta == 1.0 and live.estimate("e") is None

    def test_too_few_independent_samples_give_no_error(self):
        values = iter(np.repeat(np.arange(8.0), 50))
        live = self.make(look=lambda live: ({"slow": next(values)}, None))
        for _ in range(399):
            live.advance(1)
        assert live.estimate("slow") is None and live.mean("slow") > 0

    def test_it_starts_from_a_copy(self):
        start = np.ones((8, 8))
        live = Simulation(mp.HeatBath(mp.XY(mp.square(8))), start, 1.0, 1, lambda live: ({}, None))
        live.advance(1)
        assert (start == 1).all() and not (live.x == 1).all()

    def player(self):
        knobs = controls(temperature=(1.0, 4.0, 2.0), side=["8", "16"], sweeps=["1", "4"], colour=False)
        shown = {"draw": 0, "plot": 0, "tell": 0}

        def count(name):
            return lambda live: shown.update({name: shown[name] + 1})

        def make(seed):
            side = int(knobs.side)
            sampler, spins = mp.HeatBath(mp.Ising(mp.square(side))), np.ones((side, side), np.int8)
            return Simulation(sampler, spins, knobs.temperature, seed, lambda live: ({"one": 1}, None))

        show = {name: count(name) for name in shown}
        turns = {"temperature": Simulation.heat}
        return SimulationPlayer(make, knobs, **show, turns=turns, rebuilds=["side"], label="the spins"), knobs, shown

    def test_every_frame_is_drawn_and_every_thirtieth_told(self):
        player, knobs, shown = self.player()
        assert shown == {"draw": 1, "plot": 1, "tell": 1}
        knobs.sweeps = "4"
        player.running = True  # as in a run, but frame by frame
        for _ in range(31):
            player._guarded(player._frame)
        assert player.simulation.state.sweep == 4 * 31
        assert shown == {"draw": 2 + 31, "plot": 2 + 2, "tell": 2 + 2}

    def test_who_stops_or_steps_is_told(self):
        player, _, shown = self.player()
        player.step_once()
        assert shown == {"draw": 2, "plot": 2, "tell": 2}
        player.start()
        while player.steps < 5:
            time.sleep(0.01)
        assert player.stop()
        told = dict(shown)
        assert told["draw"] == 2 + player.steps - 1 + 1 and told["tell"] == told["plot"] >= 3
        player._step = lambda: 1 / 0
        player.start()
        while player.running:
            time.sleep(0.01)
        player.stop()
        assert shown == told and "ZeroDivisionError" in player.message

    def test_controls_turn_rebuild_or_repaint(self):
        player, knobs, shown = self.player()
        player.step_once()
        before = player.simulation
        knobs.temperature = 3.0
        assert player.simulation is before and before.temperature == pytest.approx(3.0) and before.samples == 0
        knobs.colour = True
        assert player.simulation is before and player.steps == 1 and shown["draw"] == 4
        knobs.side = "16"
        assert player.simulation.side == 16 and player.simulation.temperature == pytest.approx(3.0) and player.steps == 0
        after = player.simulation
        player.reset()
        assert player.simulation is not after and player.simulation.state.seed == after.state.seed + 1

    def test_a_turn_may_put_another_simulation_in_its_place(self):
        player, knobs, _ = self.player()
        other = self.make()
        player._turns = {"temperature": lambda live, value: other}
        knobs.temperature = 1.5
        assert player.simulation is other


def training(count, seconds=0.0, closed=None):
    """A training of `count` steps with loss 1/step."""
    try:
        for step in range(1, count + 1):
            time.sleep(seconds)
            yield SimpleNamespace(loss=1 / step)
    finally:
        if closed is not None:
            closed.append(True)


class TestTraining:
    def test_it_runs_to_its_end_and_says_so(self):
        player = TrainingPlayer(lambda: training(1000), lambda: {"accuracy": (0.9, 0.01)})
        player.start()
        assert wait_until(lambda: not player.running)
        assert player.finished == "finished after 1000 steps" and player.steps == 1000 and not player.message
        player.plot.flush()
        curve, accuracy = player.plot.traces
        assert curve["x"].tolist() == list(range(5, 1001, 5))
        assert curve["y"][:2].tolist() == pytest.approx([np.mean(1 / np.arange(a, a + 5)) for a in (1, 6)])
        assert accuracy["x"][-1] == 1000 and accuracy["error_y"]["array"][-1] == 0.01
        player.start()
        assert wait_until(lambda: not player.running) and player.steps == 1000 and player.finished

    def test_stop_step_reset(self):
        closed = []
        player = TrainingPlayer(lambda: training(10**6, 0.001, closed), label="the network")
        player.start()
        assert wait_until(lambda: player.steps > 3)
        began = time.monotonic()
        assert player.stop() and time.monotonic() - began < 0.5
        steps = player.steps
        player.step_once()
        assert player.steps == steps + 1 == len(player.losses) and not player.finished
        player.reset()
        assert player.steps == 0 and closed and not player.running
        player.plot.flush()
        assert not len(player.plot.traces[0]["x"])
        player.start()
        player.reset()
        assert wait_until(lambda: player.steps > 0) and player.running
        player.stop()

    def test_a_reset_does_not_wait_for_a_long_step(self):
        free, begun = threading.Event(), []

        def slow():
            begun.append(True)
            free.wait(5)
            yield SimpleNamespace(loss=float(len(begun)))

        player = TrainingPlayer(slow)
        player.start()
        assert wait_until(lambda: begun)
        began = time.monotonic()
        player.reset()
        assert time.monotonic() - began < 0.2 and len(begun) == 1
        free.set()
        assert wait_until(lambda: not player.running)
        assert player.losses == [2.0] and player.steps == 1

    def test_frames_are_short(self):
        player = TrainingPlayer(lambda: training(10**6, 0.001))
        player.start()
        assert wait_until(lambda: player._frames > 3)
        player.stop()
        assert 5 < player.steps / player._frames < 31

    def test_what_goes_wrong_is_a_sentence_and_another_run_begins_anew(self):
        def broken():
            yield SimpleNamespace(loss=1.0)
            raise FloatingPointError("the loss is nan at step 2")

        player = TrainingPlayer(broken)
        player.start()
        assert wait_until(lambda: not player.running)
        assert player.message.startswith("FloatingPointError: the loss is nan at step 2") and not player.finished
        player._begin = lambda: training(2)
        player.start()
        assert wait_until(lambda: not player.running)
        assert player.finished == "finished after 2 steps" and player.losses == [1.0, 0.5] and not player.message

    def test_it_drives_the_training_loop_and_gives_the_parameters_of_a_script(self):
        from mlphys.train import fit

        def begin(network):
            torch.nn.init.zeros_(network.weight)
            return fit(network, lambda model, x: (model(x) - 3 * x).square().mean(), draw, 60, seed=1, rate=0.1)

        def draw(generator):
            return torch.randn(16, 1, generator=generator)

        torch = pytest.importorskip("torch")
        live, script = (torch.nn.Linear(1, 1, bias=False) for _ in range(2))
        player = TrainingPlayer(lambda: begin(live), lambda: {"weight": live.weight.item()}, y="loss; weight")
        player.start()
        assert wait_until(lambda: not player.running, 10)
        player.plot.flush()
        assert [step.loss for step in begin(script)] == player.losses
        assert live.weight.item() == script.weight.item() == player.plot.traces[1]["y"][-1]


class Given:
    mean, error = -1.4157, 0.0006


class TestMeasured:
    def test_agreement_is_shown(self):
        result = measured("energy", Given(), -(2**0.5), unit="J")
        assert result.deviation == pytest.approx((-1.4157 + 2**0.5) / 0.0006)
        assert repr(result) == "energy: -1.4157(6) J, exact -1.414214 J, deviation -2.5 σ"
        assert "−2.5 σ" in result._repr_html_()

    def test_beyond_five_sigma_it_raises(self):
        measured("m", (0.549, 0.01), 0.5)
        for sign in (1, -1):
            with pytest.raises(Disagreement, match="more than 5 σ"):
                measured("m", (0.5 + sign * 0.051, 0.01), 0.5)
        assert issubclass(Disagreement, AssertionError)

    def test_a_published_value_brings_its_own_error(self):
        assert measured("z", (2.2, 0.03), (2.16, 0.04)).deviation == pytest.approx(0.8)

    @pytest.mark.parametrize(
        ("estimate", "exact", "message"),
        [
            ((1.0, 0.0), 1.0, "energy has error 0.0"),
            ((1.0, float("nan")), 1.0, "energy has error nan"),
            (1.0, 1.0, "energy has error nan"),
            ((float("nan"), 0.1), 1.0, "energy is nan"),
            ((1.0, 0.1), float("inf"), "exact is inf"),
            ((1.0, 0.1), (1.0, -0.1), "exact is"),
        ],
    )
    def test_numbers_that_measure_nothing(self, estimate, exact, message):
        with pytest.raises(ValueError, match=message):
            measured("energy", estimate, exact)

    def test_a_table_compares_all_rows_before_it_raises(self):
        table = measured_table([measured("a", (1.0, 0.1), 1.1), ("b", (2.0, 0.1), 2.0, "J")])
        assert [row.name for row in table] == ["a", "b"] and table._repr_html_().count("<tr") == 3
        with pytest.raises(Disagreement, match=r"(?s)a: .*b: "):
            measured_table([("a", (1.0, 0.1), 9.0), ("b", (2.0, 0.1), 2.0)])

    @pytest.mark.parametrize(
        ("mean", "error", "text"),
        [
            (0.70711, 0.0003, "0.7071(3)"),
            (0.70711, 0.00012, "0.70711(12)"),
            (0.70711, 0.000196, "0.7071(2)"),
            (12.3, 1.6, "12.3(16)"),
            (1234.0, 56.0, "1230(60)"),
            (5.0, 0.0, "5"),
            (5.0, float("nan"), "5"),
        ],
    )
    def test_notation(self, mean, error, text):
        assert with_error(mean, error) == text


class TestReadouts:
    def test_rows(self):
        readouts = Readouts("energy", "rate", units={"energy": "J"}, labels={"rate": "acceptance rate"})
        readouts.update(energy=(-1.4, 0.1, 5.0), rate=0.312345)
        energy, rate = readouts.rows
        assert energy["value"] == "−1.40(10)" and energy["exact"] == "5" and energy["level"] == "bad"
        assert rate["value"] == "0.3123" and rate["label"] == "acceptance rate" and rate["deviation"] == ""
        readouts.flush()
        paint(readouts)
        readouts.update(energy=Given(), rate=None)
        assert [row["value"] for row in readouts.rows] == ["−1.4157(6)", "–"]

    def test_unknown_names(self):
        with pytest.raises(ValueError, match="unknown name 'beta'"):
            Readouts("energy").update(beta=1)
        with pytest.raises(ValueError, match="unknown name 'T'"):
            Readouts("energy", units={"T": "J"})


class TestExercise:
    def make(self):
        def check(f):
            if f(0.0) != 1:
                return "A flip that costs nothing is always accepted."
            if f(1.0) > 1:
                return "A probability is not above 1."
            return abs(f(1.0) - np.exp(-1)) < 1e-12 or "At dE = T the probability is 1/e."

        def stub(cost):
            raise NotImplementedError

        return Exercise("accept", "Write it.", stub, check, ("one", "two", "three"), lambda cost: np.exp(-max(cost, 0)))

    def test_the_stub_fails_and_the_solution_passes(self):
        exercise = self.make()
        assert not exercise.check(exercise.stub) and "stub" in exercise.verdict.message
        assert exercise.check(exercise.solution) and exercise.check(exercise.solution).message == "Well done."

    def test_typical_wrong_answers_get_their_own_diagnosis(self):
        exercise = self.make()
        messages = {exercise.check(f).message for f in (lambda cost: 0.5, lambda cost: np.exp(cost), lambda cost: 1.0)}
        assert len(messages) == 3

    def test_nothing_that_an_answer_does_breaks_the_notebook(self):
        exercise = self.make()
        assert "ZeroDivisionError" in exercise.check(lambda cost: 1 / 0).message
        assert "TypeError" in exercise.check(None).message
        strict = Exercise("n", "s", None, lambda answer: pytest.fail(), ("a", "b", "c"), None)
        strict._judge = lambda answer: (_ for _ in ()).throw(AssertionError("not 3"))
        assert strict.check(2).message == "not 3"

    def test_hints_come_one_by_one(self):
        exercise = self.make()
        assert [exercise.hint().message for _ in range(4)] == ["one", "two", "three", "three"]
        with pytest.raises(ValueError, match="three"):
            Exercise("n", "s", None, print, ("a", "b"), None)

    def test_the_widget_shows_what_the_exercise_knows(self):
        exercise = self.make()
        exercise.hint()
        widget = exercise.widget
        assert widget is exercise.widget and widget.hints == ["one"] and widget.passed is None
        widget._handle_custom_msg({"action": "hint"}, [])
        exercise.check(exercise.solution)
        assert widget.hints == ["one", "two"] and widget.passed is True

    def test_cards_escape_what_they_show(self):
        assert "<b>" not in Exercise("n", "s", None, lambda a: "<b>", ("a", "b", "c"), None).check(1)._repr_html_()


class TestApp:
    def test_it_holds_its_parts_and_closing_it_ends_the_thread(self):
        view, player = LatticeView(rows=4), Player(lambda: None, reset=lambda: None)
        app = App(
            "Title",
            "Question?",
            views=[view],
            plots=[Plot(line([0], [0], "a"), x="T (J)", y="m")],
            controls=controls(a=(0.0, 1.0)),
            player=player,
            readouts=Readouts("m"),
        )
        assert len(app.children) == 4
        player.start()
        app.close()
        assert not player._thread.is_alive()
        app.close()

    def test_of_several_players_the_first_is_the_apps_and_closing_ends_all(self):
        players = [Player(lambda: None), TrainingPlayer(lambda: training(10**6, 0.001))]
        app = App("Title", player=players, plots=[players[1].plot])
        assert app.player is players[0]
        for player in players:
            player.start()
        app.close()
        assert not any(player._thread.is_alive() for player in players)


def test_a_published_value_is_not_called_exact():
    from mlphys.lab import measured

    assert "published 0.6482(8)" in str(measured("Υ", (0.6477, 0.0003), (0.6482, 0.0008)))
    assert "exact 0.7" in str(measured("T", (0.6986, 0.0010), 0.7))
